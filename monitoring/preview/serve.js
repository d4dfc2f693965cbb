// Serves the page until it is stopped, and prints its address for a Prometheus: node serve.js PROMETHEUS [PORT]
import { serve } from './page.js';

const [, , prometheus, port = '0'] = process.argv;
console.log(`${await serve(Number(port))}?prometheus=${prometheus}`);

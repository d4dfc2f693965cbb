// Serves the page that `npm run build` made.
import { preview } from 'vite';

// Returns the address. Port 0 is any free port.
export async function serve(port) {
  const options = { host: '127.0.0.1', port, strictPort: true };
  const server = await preview({ root: import.meta.dirname, preview: options, logLevel: 'error' });
  return `http://127.0.0.1:${server.httpServer.address().port}/`;
}

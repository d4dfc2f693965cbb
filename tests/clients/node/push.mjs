// Pushes groups with prom-client, as a Node.js job does.
//
// Usage: node push.mjs <folder with node_modules> <url of the gateway> <metric name>, with the groups as JSON on
// standard input: [{"job": "a", "labels": [["instance", "x"]]}, …]. Ends with 1 at the first push that fails.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [modules, url, metric] = process.argv.slice(2);
if (metric === undefined) {
  console.error("usage: node push.mjs <modules> <url> <metric>, groups as JSON on standard input");
  process.exit(2);
}
const client = createRequire(join(modules, "package.json"))("prom-client");
const registry = new client.Registry();
new client.Gauge({ name: metric, help: "Pushed by prom-client.", registers: [registry] }).set(1);
const gateway = new client.Pushgateway(url, {}, registry);

for (const { job, labels } of JSON.parse(readFileSync(0, "utf8"))) {
  const { resp, body } = await gateway.pushAdd({ jobName: job, groupings: Object.fromEntries(labels) });
  if (resp.statusCode !== 200) {
    console.error(`${job} ${JSON.stringify(labels)}: ${resp.statusCode} ${body}`);
    process.exit(1);
  }
}

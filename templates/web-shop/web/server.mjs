// A web server for one environment: `node server.mjs FOLDER OWNER PORT`. It shows FOLDER/page and writes FOLDER/pid and
// FOLDER/address. OWNER only marks the process; PORT is where it was before, and another is taken when that is not free.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

const folder = process.argv[2];
let visits = 0;

const server = createServer((request, response) => {
  const answer = (type, text) => response.writeHead(200, { "content-type": type }).end(text);
  if (request.url === "/health") return answer("text/plain", "ok\n");
  if (request.url === "/visits") return answer("text/plain", `${visits}\n`);
  if (request.url !== "/") return response.writeHead(404).end("not found\n");
  visits += 1;
  const [title, wares, database] = readFileSync(join(folder, "page"), "utf8").split("\n");
  const page = `<!doctype html><title>${title}</title><h1>${title}</h1><p>We sell ${wares}.</p><p>Database: ${database}</p>\n`;
  return answer("text/html; charset=utf-8", page);
});

/** Writes a file whole or not at all. */
function publish(name, text) {
  writeFileSync(join(folder, `${name}.new`), `${text}\n`);
  renameSync(join(folder, `${name}.new`), join(folder, name));
}

server.on("listening", () => publish("address", `127.0.0.1:${server.address().port}`));
server.on("error", (error) => {
  if (error.code !== "EADDRINUSE") throw error;
  server.listen(0, "127.0.0.1");
});
process.on("SIGTERM", () => process.exit(0));

publish("pid", process.pid);
server.listen(Number(process.argv[4] ?? 0), "127.0.0.1");

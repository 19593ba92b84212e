import { DatabaseSync } from "node:sqlite";
import fastify from "fastify";

// The least that a service with a durable store is: what its start and its memory cost is the limit for ours.
const file = process.argv[2] ?? "bare.db";
const database = new DatabaseSync(file);
database.exec(
  "pragma journal_mode = wal; pragma synchronous = full; create table if not exists thing (id text primary key, data text)",
);
const select = database.prepare("select data from thing where id = ?");
const app = fastify();
app.get("/livez", () => ({ status: "up" }));
app.get<{ Params: { id: string } }>("/things/:id", ({ params }) => select.get(params.id) ?? {});
await app.listen({ host: "127.0.0.1", port: 0 });
const address = app.server.address();
const port = typeof address === "object" && address !== null ? address.port : 0;
process.stdout.write(`ready at http://127.0.0.1:${port}\n`);
process.once("SIGTERM", () => process.exit(0));

import { createServer } from "node:net";

/** Where Linux begins to give ports to connections that ask for none, unless told otherwise (`ip_local_port_range`). */
const firstGiven = 32_768;
const first = 16_384;

/**
 * Ports in a row of 127.0.0.1 that nobody listens on, for programs that are told theirs. They lie below those that connections get, so
 * no connection takes one before the program listens; and anywhere there, as other tests look for theirs at the same time.
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  for (let tries = 0; tries < 100; tries += 1) {
    const from = first + Math.floor(Math.random() * (firstGiven - first - count));
    const row = Array.from({ length: count }, (_, at) => from + at);
    const free = await Promise.all(row.map(isFree));
    if (free.every(Boolean)) return row;
  }
  throw new Error(`There are no ${count} free ports in a row from ${first} to ${firstGiven}`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const free = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
  if (free) await new Promise((resolve) => server.close(resolve));
  return free;
}

import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { appendFile, chmod, chown, copyFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import pg from "pg";
import { listenOnLoopback } from "./loopback.ts";
import { postgresPrograms } from "./postgres-programs.ts";

export { postgresSkip } from "./postgres-programs.ts";

const run = promisify(execFile);

export interface PostgresOptions {
  /** Whether commits reach the disk. Off unless given: on for tests of crashes and for numbers. */
  readonly fsync?: boolean;
  /** Lines of postgresql.conf beside the test's own, for example `{ deadlock_timeout: "100ms" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /**
   * Paths of a PEM certificate and its key: connections from other programs must use TLS then; with a file of authorities they must
   * show a certificate of those too, whose name is that of their user, in place of a password.
   */
  readonly tls?: { readonly certificate: string; readonly key: string; readonly clients?: string };
  /** Asks every connection for this password (scram-sha-256); without it connections from loopback are trusted. */
  readonly password?: string;
}

interface Place {
  readonly programs: string;
  /** Holds data, sockets and nothing else; removed by `remove`. */
  readonly directory: string;
  readonly port: number;
  readonly password: string | null;
}

/** How the server is asked to stop: waits for clients, ends them, or ends without a checkpoint (recovers at its next start). */
export type StopMode = "smart" | "fast" | "immediate";

const stopSignals = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;
const user = "glasshouse";

/**
 * A private PostgreSQL on a random port of loopback with a data directory of its own. It ends with the process that
 * started it, however that ends, and `remove` leaves nothing behind.
 */
export class TestPostgres {
  readonly #place: Place;
  #server: ChildProcess | null = null;
  #databases = 0;
  readonly #log: string[] = [];
  readonly #atExit = (): void => this.#endNow();

  private constructor(place: Place) {
    this.#place = place;
    process.on("exit", this.#atExit);
  }

  /** Makes a data directory and starts a server on it. Takes about 0.7 s. */
  static async start(options: PostgresOptions = {}): Promise<TestPostgres> {
    const place = await newPlace(options.password ?? null);
    const made = new TestPostgres(place);
    try {
      await initialise(place, options);
      await made.start();
      return made;
    } catch (error) {
      await made.remove();
      throw error;
    }
  }

  get port(): number {
    return this.#place.port;
  }

  /** Process id of the server (the postmaster); 0 while it is stopped. */
  get pid(): number {
    return this.#server?.pid ?? 0;
  }

  /** What the server has written to its log. */
  get log(): string {
    return this.#log.join("");
  }

  get dataDirectory(): string {
    return join(this.#place.directory, "data");
  }

  /** Where to connect to: `postgres://…`. The database `postgres` is always there. */
  url(database = "postgres"): string {
    const { password, port } = this.#place;
    const secret = password === null ? "" : `:${encodeURIComponent(password)}`;
    return `postgres://${user}${secret}@127.0.0.1:${port}/${database}`;
  }

  /** Makes a database, empty or as a copy of another one that nobody is connected to; gives its name. */
  async createDatabase(template = "template0"): Promise<string> {
    this.#databases += 1;
    const name = `t${this.#databases}_${process.pid}`;
    await this.query(`create database "${name}" template "${template}"`);
    return name;
  }

  /** Ends whoever is connected to the database and removes it. Safe to repeat. */
  async dropDatabase(name: string): Promise<void> {
    await this.query(`drop database if exists "${name}" with (force)`);
  }

  /** Runs one statement on a connection of its own. */
  async query(
    text: string,
    database = "postgres",
  ): Promise<readonly Readonly<Record<string, unknown>>[]> {
    // By its socket, where it asks neither for TLS nor for the password.
    const client = new pg.Client({
      host: this.#place.directory,
      port: this.#place.port,
      user,
      database,
      password: this.#place.password ?? "",
    });
    // Without a listener the end of the server would end the test's process.
    client.on("error", () => {});
    try {
      await client.connect();
      const result = await client.query<Record<string, unknown>>(text);
      return result.rows;
    } finally {
      await client.end().catch(() => {});
    }
  }

  /** Starts the stopped server and waits until it answers. */
  async start(): Promise<void> {
    const deadline = Date.now() + 60_000;
    for (;;) {
      this.#spawn();
      if (await this.#answers(deadline)) return;
      // Children of a killed server may hold its memory for some milliseconds longer.
      if (Date.now() > deadline) throw new Error(`PostgreSQL did not start:\n${this.log}`);
      await sleep(50);
    }
  }

  /** Asks the server to stop and waits until it has. Safe to repeat. */
  async stop(mode: StopMode = "fast"): Promise<void> {
    await this.#end(stopSignals[mode]);
  }

  /** SIGKILL, as a crash: the next start recovers from the log. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** A standby that streams from this server; it answers reads, and writes after `promote`. */
  async standby(): Promise<TestPostgres> {
    const place = await newPlace(this.#place.password);
    const standby = new TestPostgres(place);
    try {
      const source = `${this.url()}?application_name=standby`;
      const target = join(place.directory, "data");
      const how = [
        "--wal-method=stream",
        "--checkpoint=fast",
        "--write-recovery-conf",
        "--no-sync",
      ];
      await asServer(place, "pg_basebackup", [`--dbname=${source}`, `--pgdata=${target}`, ...how]);
      await appendFile(join(target, "postgresql.conf"), placeSettings(place));
      await standby.start();
      return standby;
    } catch (error) {
      await standby.remove();
      throw error;
    }
  }

  /** Makes a standby a server of its own, as a failover does. */
  async promote(): Promise<void> {
    await this.query("select pg_promote(true, 30)");
  }

  /** Stops the server and removes all that it wrote. Safe to repeat. */
  async remove(): Promise<void> {
    await this.stop("immediate");
    process.off("exit", this.#atExit);
    rmSync(this.#place.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  #spawn(): void {
    const { programs, directory } = this.#place;
    // SIGQUIT when this process ends, also by kill -9; set after the change of user, which would clear it.
    const [program, ...args] = asUser("--pdeathsig", "QUIT");
    const server = spawn(
      program,
      [...args, join(programs, "postgres"), "-D", join(directory, "data")],
      { cwd: directory, stdio: ["ignore", "pipe", "pipe"] },
    );
    for (const stream of [server.stdout, server.stderr])
      stream.on("data", (chunk: Buffer) => this.#log.push(chunk.toString("utf8")));
    server.once("exit", () => {
      if (this.#server === server) this.#server = null;
    });
    this.#server = server;
  }

  /** False when the server ended before it answered. */
  async #answers(deadline: number): Promise<boolean> {
    while (this.#server !== null && Date.now() < deadline) {
      try {
        await this.query("select 1");
        return true;
      } catch {
        await sleep(20);
      }
    }
    return false;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    const ended = once(server, "exit");
    server.kill(signal);
    await ended;
  }

  #endNow(): void {
    this.#server?.kill("SIGQUIT");
    rmSync(this.#place.directory, { recursive: true, force: true });
  }
}

async function newPlace(password: string | null): Promise<Place> {
  const programs = postgresPrograms();
  if (programs === null) throw new Error("There is no PostgreSQL on this machine: npm run tools");
  const directory = mkdtempSync(join(tmpdir(), "glasshouse-postgres-"));
  if (process.getuid?.() === 0) {
    const { stdout } = await run("id", ["-u", "postgres"]);
    const group = await run("id", ["-g", "postgres"]);
    chownSync(directory, Number(stdout), Number(group.stdout));
  }
  await chmod(directory, 0o700);
  return { programs, directory, port: await freePort(), password };
}

async function initialise(place: Place, options: PostgresOptions): Promise<void> {
  const data = join(place.directory, "data");
  const args = [
    `--pgdata=${data}`,
    `--username=${user}`,
    "--no-sync",
    "--encoding=UTF8",
    "--locale=C",
  ];
  const auth = place.password === null ? "trust" : "scram-sha-256";
  const password = join(place.directory, "password");
  if (place.password !== null) {
    await appendFile(password, place.password, { mode: 0o644 });
    args.push(`--pwfile=${password}`);
  }
  await asServer(place, "initdb", [...args, `--auth=${auth}`]);
  rmSync(password, { force: true });
  if (options.tls !== undefined) await wantTls(data, options.tls);
  const settings = {
    ...(options.tls === undefined ? {} : { ssl: "on" }),
    ...(options.tls?.clients === undefined ? {} : { ssl_ca_file: "clients.crt" }),
    listen_addresses: options.tls === undefined ? "127.0.0.1" : "127.0.0.1,127.0.0.2",
    max_connections: "200",
    shared_buffers: "128MB",
    fsync: options.fsync === true ? "on" : "off",
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
  await appendFile(join(data, "postgresql.conf"), placeSettings(place) + lines.join(""));
}

/** The server takes a key only from its own user, and connections without TLS only from the test itself. */
async function wantTls(data: string, tls: NonNullable<PostgresOptions["tls"]>): Promise<void> {
  const files = [
    ["server.crt", tls.certificate],
    ["server.key", tls.key],
    ...(tls.clients === undefined ? [] : [["clients.crt", tls.clients] as const]),
  ] as const;
  for (const [name, path] of files) {
    await copyFile(path, join(data, name));
    await chmod(join(data, name), 0o600);
    const { uid, gid } = await stat(data);
    await chown(join(data, name), uid, gid);
  }
  const method = tls.clients === undefined ? "scram-sha-256" : "cert";
  const rules = `hostssl all all all ${method}\nlocal all all trust\n`;
  await writeFile(join(data, "pg_hba.conf"), rules);
}

function placeSettings({ directory, port }: Place): string {
  return `port = ${port}\nunix_socket_directories = '${directory}'\n`;
}

async function asServer(place: Place, program: string, args: readonly string[]): Promise<void> {
  const [command, ...before] = asUser();
  await run(command, [...before, join(place.programs, program), ...args], { cwd: place.directory });
}

/** PostgreSQL refuses to run as root. */
function asUser(...options: readonly string[]): readonly [string, ...string[]] {
  const change =
    process.getuid?.() === 0 ? ["--reuid=postgres", "--regid=postgres", "--init-groups"] : [];
  return change.length + options.length === 0 ? ["env"] : ["setpriv", ...change, ...options];
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenOnLoopback(server);
  server.close();
  await once(server, "close");
  return port;
}

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { crashWords } from "../../src/app/crash-hooks.ts";
import { Ledger, ledgerTemplate } from "./ledger.ts";
import { complaintsAbout, type Wanted } from "./crash-judge.ts";
import { newKeyFile } from "./which-store.ts";
import { commandSchema, TestServer, testDirectory, type ServerOptions } from "./server.ts";

export interface CrashSubject {
  readonly groups: number;
  readonly width: number;
  readonly holdSeconds?: number;
  readonly lingerSeconds?: number;
  readonly checkSeconds?: number;
}

export interface CrashPlace {
  /** Replaces the ledger's template. */
  readonly archive?: Uint8Array<ArrayBuffer>;
  /** Puts the data elsewhere. */
  readonly data?: string;
  /** A PostgreSQL that all servers share; each then has a data directory of its own, as another replica would. */
  readonly storeUrl?: string;
  /** More variables of every server. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A data directory with its template and ledger, on which servers are started and ended in bad ways. */
export class CrashSite {
  readonly directory: string;
  readonly data: string;
  readonly ledger: Ledger;
  readonly subject: CrashSubject;
  readonly #archive: Uint8Array<ArrayBuffer>;
  readonly #storeUrl: string | null;
  readonly #env: Readonly<Record<string, string>>;
  readonly #remove: () => Promise<void>;
  readonly #servers: TestServer[] = [];

  private constructor(of: {
    readonly directory: Awaited<ReturnType<typeof testDirectory>>;
    readonly ledger: Ledger;
    readonly subject: CrashSubject;
    readonly archive: Uint8Array<ArrayBuffer>;
    readonly data: string;
    readonly storeUrl: string | null;
    readonly env: Readonly<Record<string, string>>;
  }) {
    this.#storeUrl = of.storeUrl;
    this.#env = of.env;
    this.directory = of.directory.path;
    this.#remove = of.directory.remove;
    this.data = of.data;
    this.ledger = of.ledger;
    this.subject = of.subject;
    this.#archive = of.archive;
  }

  static async open(subject: CrashSubject, more: CrashPlace = {}): Promise<CrashSite> {
    const directory = await testDirectory();
    const ledger = new Ledger(directory.path);
    await ledger.open();
    const archive =
      more.archive ??
      (await ledgerTemplate(join(directory.path, "template"), { ...subject, ledger }));
    const data = more.data ?? join(directory.path, "data");
    const { storeUrl = null, env = {} } = more;
    return new CrashSite({ directory, ledger, subject, archive, data, storeUrl, env });
  }

  /** `crashAt` is the server's `GLASSHOUSE_CRASH_AT`. Rejects when it ends before it is ready. */
  async start(crashAt?: string): Promise<TestServer> {
    const crash = {
      ...this.#env,
      ...(crashAt === undefined ? {} : { GLASSHOUSE_CRASH_AT: crashAt }),
    };
    const server = await TestServer.start(await this.#optionsOf(crash));
    this.#servers.push(server);
    return server;
  }

  async #optionsOf(env: Readonly<Record<string, string>>): Promise<ServerOptions> {
    if (this.#storeUrl === null) return { data: this.data, env };
    return {
      data: `${this.data}${this.#servers.length}`,
      env: {
        ...env,
        GLASSHOUSE_STORE_URL: this.#storeUrl,
        GLASSHOUSE_SECURITY_KEY: await newKeyFile(this.directory),
      },
    };
  }

  /** Registers the template and creates the environment `judged`; gives the run. Safe to repeat: the same key is the same command. */
  async create(server: TestServer): Promise<string> {
    await server.request("POST", "/api/v1/templates", this.#archive);
    return this.send(server, "environment.create", {
      data: { name: "judged", template: "ledger" },
    });
  }

  /** Sends a command about `judged` whose id is its type, so a repetition is the same command. Gives its run. */
  async send(
    server: TestServer,
    type: string,
    of: { readonly data?: unknown; readonly subject?: string } = {},
  ): Promise<string> {
    const { data = {}, subject = "judged" } = of;
    const body = { type, source: "crash-test", id: type, subject, data };
    const command = commandSchema.parse(await server.request("POST", "/api/v1/commands", body));
    if (command.run === null) throw new Error(`${type} has no run: ${JSON.stringify(command)}`);
    return command.run;
  }

  /** All that is wrong now that the run has settled; empty when everything is as promised. */
  async complaints(server: TestServer, runId: string, wanted: Wanted): Promise<readonly string[]> {
    const at = { directory: this.directory, data: this.data, serverPids: [server.pid] };
    return complaintsAbout({ server, runId, wanted, at, site: this });
  }

  async close(): Promise<void> {
    for (const server of this.#servers) {
      server.kill();
      await server.ended;
    }
    await this.#remove();
  }
}

export interface CrashOutcome {
  /** Whether it did happen: the server ended, or said that it threw or stalled. */
  readonly happened: boolean;
  readonly complaints: readonly string[];
  /** How it came to its end, for the table. */
  readonly words: string;
}

interface Going extends CrashPlace {
  /** Judges beside the ledger, at the server on which the run has ended. */
  readonly look?: (server: TestServer) => Promise<readonly string[]>;
  /** Judges in place of the ledger, when no server runs. */
  readonly judge?: (site: CrashSite) => Promise<readonly string[]>;
}

/**
 * Creates an environment on a server that is ended, stalled or throws somewhere, goes on (after a kill on another server),
 * and lets the ledger judge. A run that a thrown fault has failed is retried, as a person would.
 */
export async function crashAndGoOn(
  subject: CrashSubject,
  crashAt: string,
  more: Going = {},
): Promise<CrashOutcome> {
  const site = await CrashSite.open(subject, more);
  try {
    const first = await startOrEnd(site, crashAt);
    const outlived = first === null ? null : await outlives(site, first, more);
    if (outlived !== null) return outlived;
    const outcome = await goOn(site, await site.start(), more);
    return { ...outcome, happened: true, words: `taken over: ${outcome.words}` };
  } finally {
    await site.close();
  }
}

/** Null when the server was killed on the way. */
async function outlives(
  site: CrashSite,
  server: TestServer,
  more: Going,
): Promise<CrashOutcome | null> {
  try {
    return await goOn(site, server, more);
  } catch (error) {
    return gone(server, error);
  }
}

/** To the end on this server. */
async function goOn(
  site: CrashSite,
  server: TestServer,
  { judge, look }: Going,
): Promise<CrashOutcome> {
  const run = await site.create(server);
  let settled = await server.settled(run);
  const happened = server.output.includes(crashWords);
  const retried = happened && settled.status === "failed";
  if (retried) {
    await site.send(server, "run.retry", { subject: run });
    settled = await server.settled(run);
  }
  const wanted = judge === undefined && look === undefined ? "created" : "judged elsewhere";
  const complaints = [
    ...(await site.complaints(server, run, wanted)),
    ...((await look?.(server)) ?? []),
  ];
  await server.stop();
  const words = `${retried ? "failed, said so, retried: " : ""}${settled.status}`;
  return { happened, complaints: [...complaints, ...((await judge?.(site)) ?? [])], words };
}

/** Null when it ended before it was ready. */
async function startOrEnd(site: CrashSite, crashAt: string): Promise<TestServer | null> {
  try {
    return await site.start(crashAt);
  } catch {
    return null;
  }
}

/** Null when the request broke because the server was killed; any other fault is passed on. */
async function gone(server: TestServer, error: unknown): Promise<null> {
  const end = await Promise.race([server.ended, sleep(2_000, null)]);
  if (end?.signal !== "SIGKILL") throw error;
  return null;
}

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Ledger, ledgerTemplate } from "./ledger.ts";
import { commandSchema, TestServer, testDirectory } from "./server.ts";

export interface CrashPlan {
  readonly groups: number;
  readonly width: number;
  /** `GLASSHOUSE_CRASH_AT` of the first server. */
  readonly crashAt: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface CrashOutcome {
  readonly run: { readonly status: string; readonly reason: string | null };
  /** Groups that the ledger has more than once. */
  readonly doubled: readonly string[];
  /** Groups that it does not have. */
  readonly missing: readonly string[];
  /** Command lines of processes that were left over. */
  readonly leftOver: readonly string[];
  /** Whether the first server was stopped before the run had ended. */
  readonly crashed: boolean;
}

const createKey = "crash-create";

/** Creates an environment on a server that will be stopped somewhere, starts another one on the same data, and lets the ledger judge. */
export async function crashAndGoOn(plan: CrashPlan): Promise<CrashOutcome> {
  const directory = await testDirectory();
  const data = join(directory.path, "data");
  const ledger = new Ledger(directory.path);
  await ledger.open();
  const archive = await ledgerTemplate(join(directory.path, "template"), { ...plan, ledger });
  try {
    const crashed = await firstServer(plan, { data, archive });
    const server = await TestServer.start({ data });
    try {
      await register(server, archive);
      const run = await server.settled(await createRun(server), 60_000);
      const created = await ledger.created();
      const names = Array.from({ length: plan.groups }, (_, index) => `g${index}`);
      return {
        run,
        doubled: [...created].filter(([, count]) => count > 1).map(([group]) => group),
        missing: names.filter((name) => !created.has(name)),
        leftOver: await processesOf(directory.path),
        crashed,
      };
    } finally {
      await server.stop();
    }
  } finally {
    await directory.remove();
  }
}

/** True when it was stopped by its crash hook. A thrown or stalled boundary leaves it running: then it is killed once it had time. */
async function firstServer(
  plan: CrashPlan,
  of: { readonly data: string; readonly archive: Uint8Array<ArrayBuffer> },
): Promise<boolean> {
  let server: TestServer;
  try {
    server = await TestServer.start({
      data: of.data,
      env: { ...plan.env, GLASSHOUSE_CRASH_AT: plan.crashAt },
    });
  } catch {
    return true;
  }
  try {
    await register(server, of.archive);
    const settled = server
      .settled(await createRun(server), plan.crashAt.includes(":kill") ? 30_000 : 3_000)
      .then(() => "settled" as const);
    return (await Promise.race([settled, server.ended.then(() => "ended" as const)])) === "ended";
  } catch {
    // The connection broke because the server is gone, or a thrown boundary keeps the run open.
    return true;
  } finally {
    server.kill();
    await server.ended;
  }
}

async function register(server: TestServer, archive: Uint8Array<ArrayBuffer>): Promise<void> {
  await server.request("POST", "/api/v1/templates", archive);
}

/** Safe to repeat: the same key is the same command. */
async function createRun(server: TestServer): Promise<string> {
  const body = {
    type: "environment.create",
    source: "crash-test",
    id: createKey,
    subject: "judged",
    data: { name: "judged", template: "ledger" },
  };
  const command = commandSchema.parse(await server.request("POST", "/api/v1/commands", body));
  if (command.run === null) throw new Error(`the create has no run: ${JSON.stringify(command)}`);
  return command.run;
}

/** Processes whose command line names the test's directory, other than the servers: children that outlived theirs. */
async function processesOf(path: string): Promise<readonly string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/u.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
  );
  return lines
    .map((line) => line.replaceAll("\0", " "))
    .filter((line) => line.includes(path) && !line.includes("main.ts server"));
}

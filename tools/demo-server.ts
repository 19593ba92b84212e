import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { root, say } from "./demo-cli.ts";

const readyWithinMs = 30_000;
const keptLogCharacters = 20_000;

/** The server as a child of the demo. The first signal to the demo stops it gently, a second one is passed on too. */
export class Server {
  readonly #child: ChildProcess;
  readonly #address: string;
  readonly #stop = new AbortController();
  #log = "";

  constructor(address: string) {
    this.#address = address;
    // A process group of its own: Ctrl-C reaches the demo only, which then asks the server once. Twice would mean "now".
    this.#child = spawn(join(root, "bin/glasshouse"), ["server"], {
      cwd: root,
      detached: true,
      env: { ...process.env, GLASSHOUSE_LISTEN: address },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#log = (this.#log + text).slice(-keptLogCharacters);
      });
    }
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => void this.stop());
    }
  }

  /** Aborted as soon as the demo is asked to end. */
  get stopping(): AbortSignal {
    return this.#stop.signal;
  }

  /** Resolves when the server answers that it is ready; rejects with its log when it ends before or takes too long. */
  async ready(): Promise<void> {
    const deadline = Date.now() + readyWithinMs;
    while (Date.now() < deadline && this.#isRunning()) {
      if (await answers(`http://${this.#address}/readyz`)) return;
      await wait(50, undefined, { signal: this.#stop.signal });
    }
    const what = this.#isRunning() ? `is not ready after ${readyWithinMs / 1000} s` : "ended";
    throw new Error(`The server ${what}. It said:\n${this.#log}`);
  }

  /** Asks the server to end and waits until it has; asked again, it ends at once. */
  async stop(): Promise<void> {
    this.#stop.abort();
    if (!this.#isRunning()) return;
    this.#child.kill("SIGTERM");
    await once(this.#child, "exit");
  }

  /** Waits for the server's end. Gives 0 when it was asked for; else its log is shown and the result is 1. */
  async ended(): Promise<number> {
    if (this.#isRunning()) await once(this.#child, "exit");
    if (this.#stop.signal.aborted) {
      say("The server has ended.");
      return 0;
    }
    say(`The server ended unasked. It said:\n${this.#log}`);
    return 1;
  }

  #isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const reply = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await reply.body?.cancel();
    return reply.ok;
  } catch {
    return false;
  }
}

/** What was asked for, with a free port in place of 0; else the default, or a free port when something else has that. */
export async function chooseAddress(asked: string | undefined): Promise<string> {
  const wanted = asked ?? "127.0.0.1:8080";
  const at = wanted.lastIndexOf(":");
  const [host, port] = [wanted.slice(0, at), Number(wanted.slice(at + 1))];
  const got = await freePort(host, port);
  if (got !== null) return `${host}:${got}`;
  if (asked !== undefined) {
    throw new Error(
      `${asked} cannot be listened on; GLASSHOUSE_LISTEN=127.0.0.1:0 takes a free port.`,
    );
  }
  const free = await freePort(host, 0);
  if (free === null) throw new Error(`There is no free port on ${host}.`);
  say(`Something else listens on ${wanted}, so the server takes port ${free}.`);
  return `${host}:${free}`;
}

/** The port when it can be listened on, a free one for 0, or null. */
async function freePort(host: string, port: number): Promise<number | null> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.on("error", () => resolve(null));
    // An IPv6 address stands in brackets before its port.
    probe.listen(port, host.replaceAll(/[[\]]/gu, ""), () => {
      const address = probe.address();
      probe.close(() =>
        resolve(typeof address === "object" && address !== null ? address.port : null),
      );
    });
  });
}

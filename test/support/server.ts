import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { secureFetch, type Fetch, type Trust } from "../../src/app/secure-fetch.ts";
import { storeVariables } from "./which-store.ts";

const ownProgram = join(import.meta.dirname, "..", "..", "bin", "glasshouse");
const readyPattern = /ready at (https?:\/\/\S+)/u;

export interface ServerOptions {
  readonly data: string;
  /** More environment variables, for example `GLASSHOUSE_CRASH_AT`. */
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Whom its requests trust, where it speaks TLS. */
  readonly trust?: Trust;
  /** Path of another `bin/glasshouse` than this one's own. */
  readonly program?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

export interface Sending {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly limitMs?: number;
}

/** A real `glasshouse server` in a process of its own. */
export class TestServer {
  readonly url: string;
  readonly pid: number;
  /** Resolves when the process has ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;
  readonly #output: string[];
  readonly #fetch: Fetch;

  private constructor(
    child: ChildProcess,
    at: {
      readonly url: string;
      readonly output: string[];
      readonly ended: TestServer["ended"];
      readonly trust: Trust;
    },
  ) {
    this.#fetch = secureFetch(at.trust);
    this.#child = child;
    this.#output = at.output;
    this.url = at.url;
    this.ended = at.ended;
    this.pid = child.pid ?? 0;
  }

  /** Starts it and waits until it says that it is ready. A server that ends before (a crash test at start) rejects. */
  static async start(options: ServerOptions): Promise<TestServer> {
    const variables = await storeVariables(options.data);
    const child = spawn(
      options.program ?? ownProgram,
      ["server", "--listen", "127.0.0.1:0", "--data", options.data, ...(options.args ?? [])],
      {
        env: { ...process.env, GLASSHOUSE_TELEMETRY_LEVEL: "warn", ...variables, ...options.env },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    const output: string[] = [];
    const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
      child.once("exit", (code, signal) => resolve({ code, signal }));
    });
    const ready = new Promise<string>((resolve) => {
      const read = (chunk: Buffer): void => {
        output.push(chunk.toString("utf8"));
        const url = readyPattern.exec(output.join(""))?.[1];
        if (url !== undefined) resolve(url);
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
    });
    const url = await Promise.race([
      ready,
      ended.then(({ code, signal }) => `ended:${code ?? signal}`),
    ]);
    if (url.startsWith("ended:"))
      throw new Error(`the server ended before it was ready (${url}):\n${output.join("")}`);
    return new TestServer(child, { url, output, ended, trust: options.trust ?? {} });
  }

  /** What it has written so far. */
  get output(): string {
    return this.#output.join("");
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.ended;
  }

  /** One request, whatever its answer. `path` begins with a slash. Rejects when the server is gone or does not answer in time. */
  async send(
    method: string,
    path: string,
    { body, headers, limitMs = 60_000 }: Sending = {},
  ): Promise<Answer> {
    const raw = body instanceof Uint8Array;
    const response = await this.#fetch(new URL(`${this.url}${path}`), {
      method,
      signal: AbortSignal.timeout(limitMs),
      headers: {
        ...(body === undefined
          ? {}
          : { "content-type": raw ? "application/gzip" : "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: raw ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const type = response.headers.get("content-type") ?? "";
    const isJson = text !== "" && type.includes("json") && !type.includes("jsonl");
    return {
      status: response.status,
      headers: response.headers,
      body: isJson ? JSON.parse(text) : text,
    };
  }

  /** One request; throws with the problem's text when the status is 400 or more. */
  async request(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await this.send(method, path, { body });
    if (answer.status >= 400)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body === "" ? null : answer.body;
  }

  async run(id: string): Promise<z.output<typeof runSchema>> {
    return runSchema.parse(await this.request("GET", `/api/v1/runs/${id}`));
  }

  /** Waits until the run has ended or waits for a person. */
  async settled(id: string, limitMs = 60_000): Promise<z.output<typeof runSchema>> {
    const deadline = Date.now() + limitMs;
    for (;;) {
      const run = await this.run(id);
      if (!["queued", "running"].includes(run.status)) return run;
      if (Date.now() > deadline)
        throw new Error(
          `run ${id} is still ${run.status} after ${limitMs} ms: ${JSON.stringify(run)}`,
        );
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
    }
  }
}

const runSchema = z.object({
  id: z.string(),
  kind: z.string(),
  status: z.string(),
  reason: z.string().nullable(),
  progress: z.object({ done: z.number(), total: z.number() }),
});

export const commandSchema = z.object({
  id: z.string(),
  status: z.string(),
  run: z.string().nullable(),
  environment: z.string().nullable(),
});

/** A directory of the test's own, removed by `remove`. */
export async function testDirectory(): Promise<{
  readonly path: string;
  readonly remove: () => Promise<void>;
}> {
  const path = await mkdtemp(join(tmpdir(), "glasshouse-test-"));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

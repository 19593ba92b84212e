import { spawn, type ChildProcess } from "node:child_process";
import { closeSync } from "node:fs";
import { openMemoryFile } from "../../../clients/process/memory-file.ts";
import { GlasshouseError } from "../../../domain/errors.ts";

/** A user and password or token for a host. */
export interface GitCredential {
  readonly username: string;
  readonly password: string;
}

/** One git that is allowed little: its directory, transports and the end of its time. */
export interface GitOptions {
  readonly directory: string;
  readonly protocols: readonly string[];
  /** Ends it: the caller's wish or the time limit. */
  readonly signal: AbortSignal;
  /** Variables that say how the network is reached (proxies, certificates) and PATH. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** For one host, and asked for by git only when that wants a login. Null: there is none. */
  readonly login: GitLogin | null;
}

export interface GitLogin extends GitCredential {
  /** `host` or `host:port`. */
  readonly host: string;
}

export interface GitOutcome {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

const keptErrorBytes = 16 * 1024;
const passed =
  /^(?:PATH|LANG|(?:HTTPS?|NO|ALL)_PROXY|(?:https?|no|all)_proxy|SSL_CERT_(?:FILE|DIR)|GIT_SSL_CAINFO|CURL_CA_BUNDLE)$/u;

/**
 * Runs git with a list of arguments; no shell, no prompt, no hooks, no configuration of machine or user. `limitBytes` bounds
 * what it may print. Rejects with the signal's reason when that aborts. Errors: `unavailable` (no git), `too-large`.
 */
export async function runGit(
  options: GitOptions,
  args: readonly string[],
  { stdin, limitBytes }: { readonly stdin?: string; readonly limitBytes: number },
): Promise<GitOutcome> {
  options.signal.throwIfAborted();
  const child = start(options, args);
  const stop = (): void => killGroup(child);
  options.signal.addEventListener("abort", stop);
  try {
    return await outcomeOf(child, { ...(stdin === undefined ? {} : { stdin }), limitBytes });
  } finally {
    options.signal.removeEventListener("abort", stop);
    options.signal.throwIfAborted();
  }
}

/** Git's own words for a login, read by its helper from a descriptor: never an argument, a variable or a file with a name. */
const helper = '!f() { test "$1" = get && cat /dev/fd/3; }; f';

function start(options: GitOptions, args: readonly string[]): ChildProcess {
  const { login } = options;
  const given = login === null ? null : openMemoryFile(wordsOf(login));
  const scoped = login === null ? [] : ["-c", `credential.https://${login.host}.helper=${helper}`];
  try {
    return spawn("git", [...settings(options.protocols), ...scoped, ...args], {
      cwd: options.directory,
      env: environment(options),
      stdio: ["pipe", "pipe", "pipe", ...(given === null ? [] : [given])],
      // A group of its own: fetch has helpers, and they end with it.
      detached: true,
    });
  } finally {
    if (given !== null) closeSync(given);
  }
}

/** As https://git-scm.com/docs/git-credential#IOFMT has it; values with line ends are refused where they are configured. */
function wordsOf({ username, password }: GitLogin): string {
  return `username=${username}\npassword=${password}\n`;
}

function settings(protocols: readonly string[]): readonly string[] {
  const pairs = [
    "protocol.allow=never",
    ...protocols.map((protocol) => `protocol.${protocol}.allow=always`),
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "credential.helper=",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    // A server that stops in the middle of its answer is given up on long before the time of the whole fetch is over.
    "http.lowSpeedLimit=100",
    "http.lowSpeedTime=15",
  ];
  return pairs.flatMap((pair) => ["-c", pair]);
}

function environment({ directory, env }: GitOptions): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(env))
    if (value !== undefined && passed.test(name)) kept[name] = value;
  return {
    ...kept,
    HOME: directory,
    LC_ALL: "C.UTF-8",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_TERMINAL_PROMPT: "0",
    GIT_LITERAL_PATHSPECS: "1",
    GIT_OPTIONAL_LOCKS: "0",
  };
}

async function outcomeOf(
  child: ChildProcess,
  { stdin, limitBytes }: { readonly stdin?: string; readonly limitBytes: number },
): Promise<GitOutcome> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const chunks: Buffer[] = [];
  const heard = { bytes: 0, stderr: "", overflow: false };
  child.stdout?.on("data", (chunk: Buffer) => {
    heard.bytes += chunk.length;
    heard.overflow ||= heard.bytes > limitBytes;
    if (heard.overflow) killGroup(child);
    else chunks.push(chunk);
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    heard.stderr = (heard.stderr + chunk.toString("utf8")).slice(-keptErrorBytes);
  });
  child.once("error", (cause) => reject(notStarted(cause)));
  child.once("close", (code) => resolve(code ?? -1));
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(stdin ?? "");
  const code = await promise;
  if (heard.overflow)
    throw new GlasshouseError("too-large", `git printed more than ${limitBytes} bytes.`);
  return { code, stdout: Buffer.concat(chunks), stderr: heard.stderr };
}

function notStarted(cause: Error): GlasshouseError {
  return new GlasshouseError(
    "unavailable",
    `git cannot be started on the server: ${cause.message}. Templates from repositories need it on PATH.`,
    { cause },
  );
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { pythonPackages } from "../../tools/python-packages.ts";
import { askAws, type AwsKey } from "./aws-request.ts";
import { Guard } from "./guard.ts";
import { freePorts } from "./ports.ts";
import { testDirectory } from "./server.ts";

const readyLimitMs = 60_000;

/** Why tests with it cannot run here, for a test's `skip`, or false. Under CI it fails its tests when it is missing. */
export const awsSkip: string | false =
  !existsSync(pythonPackages("moto")) &&
  process.env["CI"] !== "true" &&
  "missing: moto (npm run tools -- moto)";

/**
 * A private stand-in for AWS on a random port of loopback: moto, which answers the API of users and identities. Once it guards, it checks
 * signatures, and which actions a policy allows, though not on which resources. `close` ends it; so does the end of the test's process.
 */
export class Aws {
  readonly url: string;
  /** May look at users and keys, and nothing else. */
  #auditor: AwsKey = { id: "first", secret: "first" };
  readonly #remove: () => Promise<void>;
  readonly #guard: Guard;
  readonly #child: ChildProcess;

  private constructor(directory: Awaited<ReturnType<typeof testDirectory>>, port: number) {
    this.url = `http://127.0.0.1:${port}`;
    this.#remove = directory.remove;
    this.#guard = new Guard(directory.path);
    const env = {
      PATH: process.env["PATH"],
      HOME: directory.path,
      PYTHONPATH: pythonPackages("moto"),
      PYTHONDONTWRITEBYTECODE: "1",
    };
    const args = ["-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p"];
    this.#child = this.#guard.spawn("python3", [...args, String(port)], env);
  }

  /** Resolves when it answers; it does not guard yet. */
  static async start(): Promise<Aws> {
    const [port = 0] = await freePorts(1);
    const aws = new Aws(await testDirectory(), port);
    try {
      await aws.#ready();
      const look = { Effect: "Allow", Action: ["iam:ListUsers", "iam:ListAccessKeys"] };
      const policy = { Version: "2012-10-17", Statement: { ...look, Resource: "*" } };
      aws.#auditor = await aws.user("auditor", policy);
      return aws;
    } catch (error) {
      await aws.close();
      throw error;
    }
  }

  /** A key of a new user who may do what the policy says; only before `guard`. */
  async user(name: string, policy: object): Promise<AwsKey> {
    await this.#ask({ Action: "CreateUser", UserName: name });
    const put = { Action: "PutUserPolicy", UserName: name, PolicyName: "may" };
    await this.#ask({ ...put, PolicyDocument: JSON.stringify(policy) });
    const made = await this.#ask({ Action: "CreateAccessKey", UserName: name });
    const [id = ""] = all(made, "AccessKeyId");
    const [secret = ""] = all(made, "SecretAccessKey");
    return { id, secret };
  }

  /** From now on every call needs a key of a user that may do it. */
  async guard(): Promise<void> {
    const headers = { "content-type": "text/plain" };
    const answer = await fetch(`${this.url}/moto-api/reset-auth`, {
      method: "POST",
      headers,
      body: "0",
    });
    if (!answer.ok) throw new Error(`moto does not guard: ${await answer.text()}`);
  }

  /** The ids of the keys of all users whose names begin so. */
  async keys(begin: string): Promise<readonly string[]> {
    const users = all(await this.#ask({ Action: "ListUsers" }), "UserName");
    const found: string[] = [];
    for (const name of users.filter((user) => user.startsWith(begin))) {
      // Null: the user was taken away meanwhile.
      const keys = await this.#ask({ Action: "ListAccessKeys", UserName: name }, "NoSuchEntity");
      if (keys !== null) found.push(...all(keys, "AccessKeyId"));
    }
    return found;
  }

  async close(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#guard.close();
    await this.#remove();
  }

  async #ask(query: Readonly<Record<string, string>>): Promise<string>;
  async #ask(query: Readonly<Record<string, string>>, expected: string): Promise<string | null>;
  async #ask(query: Readonly<Record<string, string>>, expected?: string): Promise<string | null> {
    const { status, text } = await askAws({
      url: this.url,
      service: "iam",
      key: this.#auditor,
      query,
    });
    if (status === 200) return text;
    if (expected !== undefined && all(text, "Code").includes(expected)) return null;
    throw new Error(`${query["Action"]}: ${status} ${text}`);
  }

  async #ready(): Promise<void> {
    const output: string[] = [];
    this.#child.stderr?.on("data", (chunk: Buffer) => output.push(chunk.toString("utf8")));
    this.#child.stdout?.resume();
    const deadline = Date.now() + readyLimitMs;
    for (;;) {
      const answers = await fetch(`${this.url}/moto-api/`).catch(() => null);
      if (answers?.ok === true) return;
      if (this.#child.exitCode !== null || Date.now() > deadline)
        throw new Error(`moto did not become ready:\n${output.join("").slice(-3_000)}`);
      await sleep(100);
    }
  }
}

/** The texts of the elements of this name. */
function all(xml: string, element: string): readonly string[] {
  const found = xml.matchAll(new RegExp(`<${element}>([^<]*)</${element}>`, "gu"));
  return [...found].map(([, text = ""]) => text);
}

import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { GlasshouseError } from "../../../domain/errors.ts";

/** The engine that does the work. */
export interface Program {
  readonly product: "Terraform" | "OpenTofu";
  readonly version: string;
  /** Absolute. */
  readonly path: string;
}

/** Finds Terraform or OpenTofu and keeps what it found while the file stays the same: asking costs a process. */
export class ProgramFinder {
  readonly #wanted: string | undefined;
  readonly #path: string;
  #found: { readonly stamp: string; readonly program: Program } | null = null;

  /** `wanted`: `terraform`, `tofu` or a path; undefined takes the first of the two on `path`, a list as in `PATH`. */
  constructor(wanted: string | undefined, path: string) {
    this.#wanted = wanted;
    this.#path = path;
  }

  /** Errors: `step-failed` when there is none, or when it does not answer. */
  async find(): Promise<Program> {
    const path = this.#locate();
    const { mtimeMs, size, ino } = statSync(path);
    const stamp = [path, mtimeMs, size, ino].join(" ");
    if (this.#found?.stamp !== stamp) this.#found = { stamp, program: await ask(path) };
    return this.#found.program;
  }

  #locate(): string {
    const names = this.#wanted === undefined ? ["terraform", "tofu"] : [this.#wanted];
    for (const name of names) {
      const found = locate(name, this.#path);
      if (found !== null) return found;
    }
    const missing =
      this.#wanted === undefined
        ? "Neither terraform nor tofu is on PATH."
        : `"${this.#wanted}", which executors.terraform.program names, is not there.`;
    throw new GlasshouseError(
      "step-failed",
      `${missing} Install Terraform (1.5 or newer) or OpenTofu, or name one in executors.terraform.program; \`glasshouse doctor\` shows what is found.`,
    );
  }
}

/** Synchronous: a step waits for it, and a way to a thread for each directory takes longer than all of the looks. */
function locate(name: string, path: string): string | null {
  const directories = isAbsolute(name) ? [""] : path.split(delimiter).filter(isAbsolute);
  for (const directory of directories) {
    const candidate = directory === "" ? name : join(directory, name);
    if (isProgram(candidate)) return candidate;
  }
  return null;
}

function isProgram(path: string): boolean {
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return false;
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function ask(path: string): Promise<Program> {
  const env = { PATH: "", CHECKPOINT_DISABLE: "1", TF_CLI_CONFIG_FILE: "/dev/null" };
  const { promise, resolve } = Promise.withResolvers<string>();
  execFile(path, ["version"], { env, timeout: 30_000 }, (error, stdout) => {
    resolve(error === null ? stdout : `${error.message}\n${stdout}`);
  });
  const answer = await promise;
  const [, product, version] = /^(Terraform|OpenTofu) v(\S+)/mu.exec(answer) ?? [];
  if (version === undefined) {
    throw new GlasshouseError(
      "step-failed",
      `${path} does not answer \`version\` as Terraform or OpenTofu do: ${answer.slice(0, 300).trim()}`,
    );
  }
  return { product: product === "OpenTofu" ? product : "Terraform", version, path };
}

import { appendFile, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { pack } from "../../src/adapters/sources/archive/index.ts";
import { observedView } from "../../src/contract/rest-resource.ts";
import type { SourceFile } from "../../src/ports/source.ts";
import { nothingFound, type Findings } from "./chaos.ts";
import type { TestServer } from "./server.ts";

export interface CloudTemplate {
  readonly name: string;
  /** How many things, in one group. */
  readonly things: number;
  /** How long one takes to be made; it comes to be in the middle of that. */
  readonly slowMs: number;
}

/** A thing that is or was there. */
export interface Made {
  readonly name: string;
  readonly id: string;
}

/**
 * The cloud of the test's own Terraform provider (tools/providers/ledger): a file to which only the provider appends. What a
 * killed Terraform never recorded stands there nevertheless.
 */
export class Cloud {
  readonly #file: string;

  constructor(directory: string) {
    this.#file = join(directory, "cloud");
  }

  async open(): Promise<void> {
    await appendFile(this.#file, "");
  }

  async text(): Promise<string> {
    return readFile(this.#file, "utf8");
  }

  /** All that was ever made, and of it what is still there. */
  async look(): Promise<{ readonly made: readonly Made[]; readonly there: readonly Made[] }> {
    const lines = (await this.text()).split("\n").filter((line) => line !== "");
    const all = lines.map((line) => {
      const [what = "", name = "", id = ""] = line.split(" ");
      return { what, name, id };
    });
    const gone = new Set(all.filter(({ what }) => what === "gone").map(({ id }) => id));
    const made = all.filter(({ what }) => what === "made");
    return { made, there: made.filter(({ id }) => !gone.has(id)) };
  }

  /** What a person does about a leak: looks, and removes it by hand. */
  async remove({ name, id }: Made): Promise<void> {
    await appendFile(this.#file, `gone ${name} ${id}\n`);
  }

  /** Packed for upload. */
  async template(of: CloudTemplate): Promise<Uint8Array<ArrayBuffer>> {
    const yaml =
      `apiVersion: glasshouse/v1\nkind: Template\nname: ${of.name}\nversion: 1.0.0\n` +
      "groups:\n  web:\n    executor: terraform\n    with: { source: ./web }\n";
    const main =
      'terraform {\n  required_providers {\n    ledger = { source = "glasshouse/ledger" }\n  }\n}\n' +
      `resource "ledger_thing" "x" {\n  count = ${of.things}\n  file = ${JSON.stringify(this.#file)}\n` +
      `  name = "${of.name}-\${count.index}"\n  slow_ms = ${of.slowMs}\n}\n`;
    return new Uint8Array(await pack([file("template.yaml", yaml), file("web/main.tf", main)]));
  }
}

const resourcesPage = z.object({ observed: z.array(observedView) });

/** What the service knows to be there: ids by address. */
export async function knownThings(
  server: TestServer,
  environment: string,
): Promise<ReadonlyMap<string, string>> {
  const path = `/api/v1/environments/${environment}/resources`;
  const { observed } = resourcesPage.parse(await server.request("GET", path));
  return new Map(observed.map(({ address, externalId }) => [address, externalId ?? ""]));
}

/** After a run that has succeeded: every thing once, known by its id, and nothing else. */
export async function judgeCloud(
  cloud: Cloud,
  known: ReadonlyMap<string, string>,
  of: CloudTemplate,
): Promise<Findings> {
  const { there } = await cloud.look();
  const own = there.filter(({ name }) => name.startsWith(`${of.name}-`));
  const ids = new Set(known.values());
  const names = Array.from({ length: of.things }, (_, at) => `${of.name}-${at}`);
  return {
    ...nothingFound,
    lost: names.filter((name) => !own.some((thing) => thing.name === name)),
    doubled: names.filter((name) => own.filter((thing) => thing.name === name).length > 1),
    orphans: own
      .filter(({ id }) => !ids.has(id))
      .map(({ name, id }) => `${name} (${id}) is in no state`),
  };
}

/** Processes of this program that work below the directory. */
export async function processesOf(program: string, directory: string): Promise<readonly number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/u.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const [exe, folder] = await Promise.all([
        readlink(`/proc/${pid}/exe`).catch(() => ""),
        readlink(`/proc/${pid}/cwd`).catch(() => ""),
      ]);
      const isOurs =
        (exe.split("/").at(-1) ?? "").startsWith(program) && folder.startsWith(directory);
      return isOurs ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}

function file(path: string, text: string): SourceFile {
  return { path, mode: 0o644, bytes: new TextEncoder().encode(text) };
}

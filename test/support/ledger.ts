import { appendFile, readFile, writeFile, chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { pack } from "../../src/adapters/sources/archive/index.ts";
import { readDirectory } from "../../src/adapters/sources/directory/index.ts";

/** The environment that is judged where there is but one; others may share its ledger. */
export const judged = "judged";

/** What a command of the template did. */
export interface LedgerEntry {
  readonly what: "created" | "updated" | "destroyed";
  readonly group: string;
  /** Name of the environment; another one may have it later. */
  readonly environment: string;
  readonly environmentId: string;
  /** The value that it was given; `-` where the template has none. */
  readonly value: string;
}

/**
 * The outside judge of crash tests: a file that only the template's own commands append to. A group whose creation stands
 * there twice was created twice, whatever the service says.
 */
export class Ledger {
  readonly file: string;

  constructor(directory: string) {
    this.file = join(directory, "ledger");
  }

  async open(): Promise<void> {
    await appendFile(this.file, "");
  }

  /** Everything that was ever done, in its order. A line that nobody could have written is an error. */
  async entries(): Promise<readonly LedgerEntry[]> {
    const lines = (await readFile(this.file, "utf8")).split("\n").filter((line) => line !== "");
    return lines.map((line) => {
      const [what, group = "", environment = "", environmentId = "", value = ""] = line.split(" ");
      if (what !== "created" && what !== "updated" && what !== "destroyed")
        throw new Error(`the ledger has a line that is none: ${line}`);
      return { what, group, environment, environmentId, value };
    });
  }

  /** How often each group of the judged environment was created. */
  created(): Promise<ReadonlyMap<string, number>> {
    return this.#count("created");
  }

  /** How often each group was taken down. */
  destroyed(): Promise<ReadonlyMap<string, number>> {
    return this.#count("destroyed");
  }

  async #count(wanted: LedgerEntry["what"]): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    for (const { what, group, environment } of await this.entries())
      if (what === wanted && environment === judged)
        counts.set(group, (counts.get(group) ?? 0) + 1);
    return counts;
  }
}

export interface LedgerTemplate {
  /** `ledger` unless given. */
  readonly name?: string;
  readonly groups: number;
  /** Each group waits for the one so many before it. */
  readonly width: number;
  readonly ledger: Ledger;
  /** Seconds between looking and writing. */
  readonly holdSeconds?: number;
  /** Seconds that a creation goes on after it has written. */
  readonly lingerSeconds?: number;
  /** A check that fails this many seconds long, counted from the first look. */
  readonly checkSeconds?: number;
  /** With a parameter `value` that every command writes down; a change of it updates every group. */
  readonly valued?: boolean;
  /** False: nobody can look whether a group is there. */
  readonly observe?: boolean;
}

/** Writes a template of commands that keep the ledger, and packs it for upload. */
export async function ledgerTemplate(
  directory: string,
  of: LedgerTemplate,
): Promise<Uint8Array<ArrayBuffer>> {
  await mkdir(directory, { recursive: true });
  const linger = of.lingerSeconds === undefined ? "" : `sleep ${of.lingerSeconds}`;
  const hold = of.holdSeconds === undefined ? "" : `sleep ${of.holdSeconds}`;
  const write = (what: string): string =>
    `${hold}\necho "${what} $GLASSHOUSE_GROUP $GLASSHOUSE_ENVIRONMENT_NAME $GLASSHOUSE_ENVIRONMENT $2" >> "$1"\n`;
  await script(join(directory, "create"), `${write("created")}${linger}\n`);
  await script(join(directory, "update"), `${write("updated")}${linger}\n`);
  await script(join(directory, "destroy"), write("destroyed"));
  await script(join(directory, "observe"), observe);
  await script(
    join(directory, "looked"),
    `[ -e "$1.looked" ] || touch "$1.looked"\n[ $(($(date +%s) - $(stat -c %Y "$1.looked"))) -ge "$2" ]\n`,
  );
  const groups = Array.from({ length: of.groups }, (_, index) => groupOf(of, index));
  const checks =
    of.checkSeconds === undefined
      ? ""
      : `checks:\n  ready:\n    command: [./looked, ${JSON.stringify(of.ledger.file)}, "${of.checkSeconds}"]\n    interval: 1s\n    timeout: 5s\n    within: 60s\n`;
  const parameters =
    of.valued === true ? `parameters:\n  value: { type: string, default: none }\n` : "";
  await writeFile(
    join(directory, "template.yaml"),
    `apiVersion: glasshouse/v1\nkind: Template\nname: ${of.name ?? "ledger"}\nversion: 1.0.0\n${parameters}groups:\n${groups.join("")}${checks}`,
  );
  const { files } = await readDirectory(directory);
  return new Uint8Array(await pack(files));
}

function groupOf(of: LedgerTemplate, index: number): string {
  const needs = index < of.width ? "" : `\n    dependsOn: [g${index - of.width}]`;
  const value = of.valued === true ? '"${{ parameters.value }}"' : '"-"';
  const verbs = ["create", "update", ...(of.observe === false ? [] : ["observe"]), "destroy"];
  const commands = verbs.map(
    (verb) => `      ${verb}: [./${verb}, ${JSON.stringify(of.ledger.file)}, ${value}]\n`,
  );
  return `  g${index}:\n    executor: command${needs}\n    with:\n${commands.join("")}`;
}

const observe = `line=$(grep " $GLASSHOUSE_GROUP $GLASSHOUSE_ENVIRONMENT_NAME $GLASSHOUSE_ENVIRONMENT " "$1" | tail -n 1)
case $line in
  created* | updated*) ;;
  *) exit 3 ;;
esac
[ "\${line##* }" = "$2" ] || exit 4
`;

async function script(path: string, body: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\nset -eu\n${body}`);
  await chmod(path, 0o755);
}

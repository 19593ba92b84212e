import { appendFile, readFile, writeFile, chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { pack } from "../../src/adapters/sources/archive/index.ts";
import { readDirectory } from "../../src/adapters/sources/directory/index.ts";

/** The environment that is judged; others may share its ledger. */
export const judged = "judged";

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

  /** How often each group of the judged environment was created. */
  created(): Promise<ReadonlyMap<string, number>> {
    return this.#count("created");
  }

  /** How often each group was taken down. */
  destroyed(): Promise<ReadonlyMap<string, number>> {
    return this.#count("destroyed");
  }

  async #count(wanted: string): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    for (const line of (await readFile(this.file, "utf8")).split("\n")) {
      const [what, group = "", environment] = line.split(" ");
      if (what === wanted && environment === judged)
        counts.set(group, (counts.get(group) ?? 0) + 1);
    }
    return counts;
  }
}

export interface LedgerTemplate {
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
}

/** Writes a template of commands that keep the ledger, and packs it for upload. */
export async function ledgerTemplate(
  directory: string,
  of: LedgerTemplate,
): Promise<Uint8Array<ArrayBuffer>> {
  await mkdir(directory, { recursive: true });
  const linger = of.lingerSeconds === undefined ? "" : `sleep ${of.lingerSeconds}`;
  const hold = of.holdSeconds === undefined ? "" : `sleep ${of.holdSeconds}`;
  await script(
    join(directory, "create"),
    `${hold}\necho "created $GLASSHOUSE_GROUP $GLASSHOUSE_ENVIRONMENT_NAME" >> "$1"\n${linger}\n`,
  );
  await script(
    join(directory, "destroy"),
    `${hold}\necho "destroyed $GLASSHOUSE_GROUP $GLASSHOUSE_ENVIRONMENT_NAME" >> "$1"\n`,
  );
  await script(
    join(directory, "observe"),
    `grep " $GLASSHOUSE_GROUP $GLASSHOUSE_ENVIRONMENT_NAME\\$" "$1" | tail -n 1 | grep -q "^created" || exit 3\n`,
  );
  await script(
    join(directory, "looked"),
    `[ -e "$1.looked" ] || touch "$1.looked"\n[ $(($(date +%s) - $(stat -c %Y "$1.looked"))) -ge "$2" ]\n`,
  );
  const groups = Array.from({ length: of.groups }, (_, index) => {
    const needs = index < of.width ? "" : `\n    dependsOn: [g${index - of.width}]`;
    const arguments_ = (name: string): string => `[./${name}, ${JSON.stringify(of.ledger.file)}]`;
    return `  g${index}:\n    executor: command${needs}\n    with:\n      create: ${arguments_("create")}\n      observe: ${arguments_("observe")}\n      destroy: ${arguments_("destroy")}\n`;
  });
  const checks =
    of.checkSeconds === undefined
      ? ""
      : `checks:\n  ready:\n    command: [./looked, ${JSON.stringify(of.ledger.file)}, "${of.checkSeconds}"]\n    interval: 1s\n    timeout: 5s\n    within: 60s\n`;
  await writeFile(
    join(directory, "template.yaml"),
    `apiVersion: glasshouse/v1\nkind: Template\nname: ledger\nversion: 1.0.0\ngroups:\n${groups.join("")}${checks}`,
  );
  const { files } = await readDirectory(directory);
  return new Uint8Array(await pack(files));
}

async function script(path: string, body: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\nset -eu\n${body}`);
  await chmod(path, 0o755);
}

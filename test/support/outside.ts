import { chmod, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * The real world of a test: files that only the template's commands write. `ledger` has a line for each time that one of
 * them acted; a group that is there has a file `<environment>.<group>.made`. Files of the test's steer what they do.
 */
export class Outside {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  async read(name: string): Promise<string | null> {
    return readFile(this.path(name), "utf8").catch(() => null);
  }

  async write(name: string, text = ""): Promise<void> {
    await writeFile(this.path(name), text);
  }

  async remove(name: string): Promise<void> {
    await rm(this.path(name), { force: true });
  }

  /** Lines `create shop.web 3`: what acted on an environment, in the order in which it was done. */
  async ledger(environment: string): Promise<readonly string[]> {
    const lines = (await this.read("ledger"))?.split("\n") ?? [];
    return lines.filter((line) => line.split(" ")[1]?.startsWith(`${environment}.`));
  }

  /** Groups of an environment that are there. */
  async made(environment: string): Promise<readonly string[]> {
    const names = await readdir(this.directory);
    return names
      .filter((name) => name.startsWith(`${environment}.`) && name.endsWith(".made"))
      .map((name) => name.split(".")[1] ?? "")
      .toSorted();
  }

  /** The group's commands wait from now on, until the returned function is called. */
  async hold(environment: string, group: string): Promise<() => Promise<void>> {
    const name = `${environment}.${group}.hold`;
    await this.write(name);
    return () => this.remove(name);
  }

  /** `verb` of the group ends with these exit codes, one a time, then as it should. */
  async fail(what: string, ...codes: readonly number[]): Promise<void> {
    await this.write(`${what}.fail`, codes.map((code) => `${code}\n`).join(""));
  }
}

export interface TemplateFacts {
  readonly name: string;
  readonly version?: string;
  /** Value by group, or the whole group in the form of the template file. */
  readonly groups: Readonly<Record<string, string | GroupFacts>>;
  /** Other members of the template file. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** Files by path. */
  readonly files?: Readonly<Record<string, string>>;
}

interface GroupFacts {
  /** What `create` makes it be; absent: the group is written out in `more`. */
  readonly value?: string;
  readonly dependsOn?: readonly string[];
  /** Members of the group. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** Members of its `with`. */
  readonly with?: Readonly<Record<string, unknown>>;
}

/**
 * Writes a folder with a template whose groups are made by one small shell program. It delivers the output `value`.
 * `template.yaml` is JSON, which is YAML.
 */
export async function writeTemplate(
  folder: string,
  outside: Outside,
  facts: TemplateFacts,
): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const groups = Object.entries(facts.groups).map(([name, group]) => [
    name,
    groupOf(outside, typeof group === "string" ? { value: group } : group),
  ]);
  const template = {
    apiVersion: "glasshouse/v1",
    kind: "Template",
    name: facts.name,
    version: facts.version ?? "1.0.0",
    ...facts.more,
    groups: Object.fromEntries(groups),
  };
  await writeFile(join(folder, "template.yaml"), JSON.stringify(template, null, 2));
  for (const [path, text] of Object.entries({ thing: program, ...facts.files })) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
    if (text.startsWith("#!")) await chmod(join(folder, path), 0o755);
  }
}

function groupOf(outside: Outside, group: GroupFacts): object {
  const { value, dependsOn, more } = group;
  const call = (verb: string): readonly string[] => [
    "./thing",
    verb,
    outside.directory,
    ...(value === undefined ? [] : [value]),
  ];
  const own = {
    create: call("create"),
    update: call("update"),
    destroy: ["./thing", "destroy", outside.directory],
    observe: call("observe"),
    ...group.with,
  };
  return {
    executor: "command",
    outputs: ["value"],
    ...(dependsOn === undefined ? {} : { dependsOn }),
    with: own,
    ...more,
  };
}

const program = `#!/bin/sh
set -eu
verb=$1 world=$2 value=\${3-}
me=$GLASSHOUSE_ENVIRONMENT_NAME.$GLASSHOUSE_GROUP
[ ! -e "$world/$me.deaf" ] || trap '' INT
[ "$verb" = observe ] || echo "begin-$verb $me $value" >> "$world/ledger"
while [ -e "$world/$me.hold" ]; do sleep 0.05; done
if [ -s "$world/$me.$verb.fail" ]; then
  code=$(head -n 1 "$world/$me.$verb.fail")
  tail -n +2 "$world/$me.$verb.fail" > "$world/$me.$verb.rest"
  mv "$world/$me.$verb.rest" "$world/$me.$verb.fail"
  echo "$verb of $me ends with $code as asked"
  exit "$code"
fi
case $verb in
  create | update) printf %s "$value" > "$world/$me.made" ;;
  destroy) rm -f "$world/$me.made" ;;
  observe)
    [ -e "$world/$me.made" ] || exit 3
    if [ "$(cat "$world/$me.made")" != "$value" ]; then exit 4; fi
    ;;
esac
[ "$verb" = observe ] || echo "$verb $me $value" >> "$world/ledger"
if [ "$verb" != destroy ] && [ ! -e "$world/$me.mute" ]; then
  printf '{"outputs":{"value":"%s"},"resources":[{"address":"thing","type":"file","id":"%s","attributes":{}}]}' "$value" "$me" > "$GLASSHOUSE_RESULT"
fi
`;

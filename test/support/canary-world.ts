import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { assertClean, assertFilesClean, processTexts } from "./canary.ts";
import type { TemplateFacts } from "./outside.ts";
import type { Site } from "./site.ts";

/** Parameters of the template that are secret. */
export const secretParameters = Array.from({ length: 11 }, (_, n) => `p${n}`);

export function newCanary(name: string): string {
  return `canary-${name}-${randomBytes(12).toString("hex")}`;
}

/** What the template's Terraform makes of its seed, and what its program makes of another secret. */
export function derived(salt: string, secret: string): string {
  return createHash("sha256").update(`${salt}${secret}`).digest("hex");
}

/**
 * A template in which secrets of all kinds go every way that there is: parameters, generated ones, keys of certificates, values of others in Vault, sensitive
 * outputs of Terraform and of a command, keys written to Vault. Its program says all that it is told aloud: into its log, into its
 * error, into its result; and it writes them down outside, where the test learns those that nobody chose.
 */
export function canaryTemplate(outside: string): TemplateFacts {
  const inputs = {
    ...Object.fromEntries(secretParameters.map((name) => [name, `\${{ parameters.${name} }}`])),
    g0: "${{ secrets.g0 }}",
    g1: "${{ secrets.g1 }}",
    c0: "${{ certificates.c0.key }}",
    f0: "${{ secrets.f0 }}",
    f1: "${{ secrets.f1 }}",
    m0: "${{ groups.maker.outputs.m0 }}",
    m1: "${{ groups.maker.outputs.m1 }}",
    url: "https://someone:${{ parameters.p0 }}@example.com/",
  };
  return {
    name: "canary",
    more: {
      parameters: {
        ...Object.fromEntries(
          secretParameters.map((name) => [name, { type: "string", secret: true }]),
        ),
        plain: { type: "string", default: "a" },
      },
      secrets: {
        g0: {},
        g1: { length: 48 },
        f0: { from: "vault:secret/shared/mail#f0" },
        f1: { from: "vault:secret/shared/mail#f1" },
      },
      certificates: { c0: { role: "web", commonName: "${{ environment.name }}.example.com" } },
      actions: { say: { app: { name: "say", command: ["./say", outside, "action"] } } },
    },
    groups: {
      maker: {
        more: {
          executor: "terraform",
          with: { source: "./maker", variables: { seed: "${{ parameters.p1 }}" } },
          outputs: ["m0", "m1"],
        },
      },
      speaker: {
        more: {
          with: {
            create: ["./say", outside, "${{ parameters.plain }}"],
            repeatable: true,
            inputs,
          },
          outputs: ["token", "link"],
        },
      },
      written: {
        more: {
          executor: "vault-secrets",
          with: {
            path: "shop/${{ environment.name }}",
            data: { chosen: "${{ parameters.p2 }}", made: "${{ groups.speaker.outputs.token }}" },
          },
          outputs: ["path"],
        },
      },
      certified,
    },
    files: { say, "maker/main.tf": maker },
  };
}

/** A certificate whose key nobody sees but Vault. */
const certified = {
  more: {
    executor: "vault-certificates",
    with: {
      path: "shop/${{ environment.name }}-tls",
      role: "web",
      commonName: "${{ environment.name }}.example.com",
    },
    outputs: ["serial"],
  },
};

const say = `#!/bin/sh
set -eu
echo "granted $LAB"
[ "$2" = action ] && exit 0
input=$(cat)
echo "it was told $input"
echo "and repeats $input" >&2
printf '%s' "$input" | base64 -w 0
printf '%s\\n' "$input" >> "$1/told"
value() { printf '%s' "$input" | grep -o "\\"$1\\":\\"[^\\"]*\\"" | cut -d '"' -f 4; }
token=$(printf 'token%s' "$(value p3)" | sha256sum | cut -d ' ' -f 1)
if [ -e "$1/$GLASSHOUSE_ENVIRONMENT_NAME.fail" ]; then
  printf '{"outputs":{"token":"%s"},"sensitive":["token"],"progress":{"done":1,"total":2,"message":"with %s"}}' "$token" "$(value p4)" > "$GLASSHOUSE_RESULT"
  echo "failed with $(value p5)" >&2
  exit 1
fi
printf '{"outputs":{"token":"%s","link":"https://example.com/?key=%s"},"sensitive":["token"],"resources":[{"address":"a","type":"account","id":"a","attributes":{"password":"%s"}}]}' \\
  "$token" "$(value p6)" "$(value p7)" > "$GLASSHOUSE_RESULT"
`;

const maker = `
variable "seed" {
  type      = string
  sensitive = true
}
resource "terraform_data" "it" {
  count = 2
  input = sha256("\${count.index}\${var.seed}")
}
output "m0" {
  value     = terraform_data.it[0].output
  sensitive = true
}
output "m1" {
  value     = terraform_data.it[1].output
  sensitive = true
}
`;

/** Values that the program has been told, by the names of its inputs: the generated ones are known from here only. Of keys their lines. */
export async function toldOf(site: Site): Promise<readonly string[]> {
  const lines = ((await site.outside.read("told")) ?? "").split("\n");
  const values = lines.flatMap((line) => [...line.matchAll(/"[cg]\d":"([^"]+)"/gu)]);
  const parts = values.flatMap(([, value = ""]) =>
    value.startsWith("-----BEGIN")
      ? value.split("\\n").filter(({ length }) => length === 64)
      : value,
  );
  return [...new Set(parts)];
}

/** Every answer about the environment, its runs and their steps, and every event. */
export async function assertAnswersClean(
  site: Site,
  name: string,
  secrets: readonly string[],
): Promise<number> {
  let answers = 0;
  const look = async (path: string): Promise<unknown> => {
    const { body } = await site.send("GET", path);
    answers += 1;
    assertClean(`the answer to ${path}`, Buffer.from(JSON.stringify(body)), secrets);
    return body;
  };
  const at = `/environments/${name}`;
  for (const part of ["", "/resources", "/graph", "/drift", "/plans", "/checks"])
    await look(`${at}${part}`);
  for (const event of await site.events(name)) await look(`/events?after=${event.position - 1}`);
  for (const { id } of await runsOf(site, name)) {
    await look(`/runs/${id}`);
    for (const step of await site.steps({ id })) {
      await look(`/steps/${step.id}`);
      await look(`/steps/${step.id}/log`);
    }
  }
  return answers;
}

export async function runsOf(
  site: Site,
  name: string,
): Promise<readonly { readonly id: string }[]> {
  const events = await site.events(name);
  const ids = events.flatMap(({ runid }) => (runid === undefined ? [] : [runid]));
  return [...new Set(ids)].map((id) => ({ id }));
}

/** Every file below the server's directory, and what the server has printed. */
export async function assertServerClean(site: Site, secrets: readonly string[]): Promise<void> {
  await assertFilesClean(site.data, secrets);
  assertClean("the server's output", Buffer.from(site.server.output), secrets);
}

/** Looks at all processes again and again until it is ended; then tells how often, or fails with what it found. */
export function watchProcesses(secrets: () => readonly string[]): () => Promise<number> {
  const end = new AbortController();
  const watching = (async () => {
    let looks = 0;
    for (; !end.signal.aborted; looks += 1) {
      for (const { what, bytes } of await processTexts()) assertClean(what, bytes, secrets());
      await sleep(100);
    }
    return looks;
  })();
  // What it finds is thrown where it is ended.
  watching.catch(() => undefined);
  return () => {
    end.abort();
    return watching;
  };
}

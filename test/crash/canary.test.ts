import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, test } from "node:test";
import { z } from "zod";
import {
  assertAnswersClean,
  assertServerClean,
  canaryTemplate,
  derived,
  newCanary,
  runsOf,
  secretParameters,
  toldOf,
  watchProcesses,
} from "../support/canary-world.ts";
import { assertClean } from "../support/canary.ts";
import { chooseSeed, seeded } from "../support/crash-random.ts";
import { terraformSkip } from "../support/crash-terraform.ts";
import { Site, type RunView } from "../support/site.ts";
import { Vault } from "../support/vault.ts";
import { makePki } from "../support/vault-pki.ts";
import { vaultSkip } from "../support/vault-program.ts";

const environments = process.env["CRASH_TESTS"] === "full" ? 20 : 2;
const seed = chooseSeed();
const policy = `
path "secret/data/*" { capabilities = ["create", "update", "read"] }
path "secret/metadata/*" { capabilities = ["create", "update", "read", "delete"] }
path "pki/*" { capabilities = ["create", "update", "read", "list"] }
path "auth/token/*" { capabilities = ["read", "update"] }
`;

/** Twenty secrets at first; each environment adds its generated and changed ones. */
interface Planted {
  readonly parameters: Record<string, string>;
  /** All that must stand nowhere. */
  readonly all: Set<string>;
  /** Stands in the environment of the template's programs, where the operator has put it, and nowhere else. */
  readonly granted: string;
}

describe(`planted secrets (CRASH_SEED=${seed})`, { skip: vaultSkip || terraformSkip }, () => {
  const title = `are found nowhere in ${environments * 10} runs that fail, are cut off by kills, change and end`;
  test(title, async (t) => {
    const vault = await Vault.start();
    t.after(() => vault.close());
    const planted = await plant(vault);
    const site = await Site.open(await optionsOf(vault, planted));
    t.after(() => site.close());
    await site.register(canaryTemplate(site.outside.directory));
    const inProcesses = (): readonly string[] =>
      [...planted.all].filter((secret) => secret !== planted.granted);
    const watched = watchProcesses(inProcesses);
    const random = seeded(seed);
    let runs = 0;
    let answers = 0;
    for (let n = 0; n < environments; n += 1) {
      await live(site, { name: `e${n}`, planted, random, vault });
      for (const value of await toldOf(site)) planted.all.add(value);
      const secrets = [...planted.all];
      runs += (await runsOf(site, `e${n}`)).length;
      answers += await assertAnswersClean(site, `e${n}`, secrets);
      await assertServerClean(site, secrets);
    }
    const looks = await watched();
    await site.server.stop();
    await assertServerClean(site, [...planted.all]);
    t.diagnostic(
      `${planted.all.size} secrets, ${runs} runs, ${answers} answers, ${looks} looks at processes`,
    );
    assert.ok(runs >= environments * 10, `only ${runs} runs`);
    assert.ok(planted.all.size >= 20 + 3 * environments, `only ${planted.all.size} secrets`);
    assert.ok(looks > environments, `only ${looks} looks`);
  });
});

async function plant(vault: Vault): Promise<Planted> {
  const parameters = Object.fromEntries(secretParameters.map((name) => [name, newCanary(name)]));
  const shared = { f0: newCanary("f0"), f1: newCanary("f1") };
  await vault.policy("glasshouse", policy);
  await makePki(vault);
  await vault.request("POST", "secret/data/shared/mail", { data: shared });
  const granted = newCanary("granted");
  const all = new Set([...Object.values(parameters), ...Object.values(shared), granted]);
  for (const secret of derivedOf(parameters)) all.add(secret);
  return { parameters, all, granted };
}

function derivedOf(parameters: Readonly<Record<string, string>>): readonly string[] {
  const { p1 = "", p3 = "" } = parameters;
  return [derived("0", p1), derived("1", p1), derived("token", p3)];
}

async function optionsOf(vault: Vault, planted: Planted): Promise<Parameters<typeof Site.open>[0]> {
  const token = await vault.token(["glasshouse"], { no_default_policy: true });
  planted.all.add(token);
  const tokenFile = join(vault.directory, "token");
  const grantFile = join(vault.directory, "grant");
  const configuration = join(vault.directory, "glasshouse.yaml");
  await writeFile(tokenFile, token);
  await writeFile(grantFile, planted.granted);
  const settings = {
    vault: { address: vault.url, token: `file:${tokenFile}`, shared: ["secret/shared/*"] },
    executors: { command: { env: { LAB: `file:${grantFile}` } } },
    telemetry: { level: "debug" },
  };
  await writeFile(configuration, JSON.stringify(settings));
  return { args: ["--config", configuration], env: { GLASSHOUSE_TELEMETRY_LEVEL: "debug" } };
}

interface Life {
  readonly name: string;
  readonly planted: Planted;
  readonly random: () => number;
  readonly vault: Vault;
}

/** One environment from its birth, which fails, to its end: ten runs, during one of which the server is killed. */
async function live(site: Site, { name, planted, random, vault }: Life): Promise<void> {
  const { parameters } = planted;
  await site.outside.write(`${name}.fail`);
  const failed = await site.create(name, "canary", { parameters });
  assert.equal(failed.status, "failed", failed.reason ?? "");
  await site.outside.remove(`${name}.fail`);
  await well(site.update(name, {}));
  await well(site.update(name, { parameters: { plain: "b" } }));
  for (const line of await keyOf(vault, name)) planted.all.add(line);
  await well(asked(site, "environment.rotate", name, { secrets: ["g0", "c0", "certified"] }));
  for (const line of await keyOf(vault, name)) planted.all.add(line);
  for (const key of ["p1", "p3", "p8"]) parameters[key] = newCanary(key);
  for (const secret of [...Object.values(parameters), ...derivedOf(parameters)])
    planted.all.add(secret);
  const secrets = [...planted.all];
  await well(killedIn(site, { name, body: { parameters }, afterMs: random() * 1_500, secrets }));
  await well(asked(site, "environment.action", name, { action: "say" }));
  await well(asked(site, "environment.refresh", name));
  await well(asked(site, "environment.validate", name));
  const thought = newCanary("thought");
  planted.all.add(thought);
  await site.plan(name, { parameters: { p9: thought } });
  await well(site.destroy(name));
}

const keySchema = z.object({ data: z.object({ data: z.object({ key: z.string() }) }) });

/** The lines of the key that the group `certified` keeps in Vault. */
async function keyOf(vault: Vault, name: string): Promise<readonly string[]> {
  const { data } = keySchema.parse(await vault.request("GET", `secret/data/shop/${name}-tls`));
  const lines = data.data.key.split("\n").filter(({ length }) => length === 64);
  assert.ok(lines.length > 0);
  return lines;
}

async function well(running: Promise<RunView>): Promise<void> {
  const { kind, status, reason } = await running;
  assert.equal(status, "succeeded", `${kind}: ${reason}`);
}

async function asked(
  site: Site,
  ...[type, name, data]: Parameters<Site["command"]>
): Promise<RunView> {
  return site.settled(await site.command(type, name, data));
}

async function killedIn(
  site: Site,
  of: {
    readonly name: string;
    readonly body: object;
    readonly afterMs: number;
    readonly secrets: readonly string[];
  },
): Promise<RunView> {
  const command = await site.ask("PATCH", `/environments/${of.name}`, { body: of.body });
  await sleep(of.afterMs);
  site.server.kill();
  await site.server.ended;
  assertClean("the output of the killed server", Buffer.from(site.server.output), of.secrets);
  await site.start();
  return site.settled(command);
}

import { existsSync, globSync } from "node:fs";
import { delimiter, join } from "node:path";
import { z } from "zod";
import { chooseAddress, Server } from "./demo-server.ts";
import { bin, root, runCli, say, type Target } from "./demo-cli.ts";

/**
 * `npm run demo`: starts the server on its embedded defaults, registers the samples, creates an environment (or goes on
 * with the one of an earlier start), shows its progress, prints where to look, and serves until it is interrupted.
 * `GLASSHOUSE_LISTEN` and `GLASSHOUSE_DATA` are honoured.
 */
async function main(): Promise<number> {
  const address = await chooseAddress(process.env["GLASSHOUSE_LISTEN"]);
  const server = new Server(address);
  const target: Target = { url: `http://${address}`, signal: server.stopping };
  try {
    await server.ready();
    say(`The server is ready at ${target.url}`);
    await registerSamples(target);
    await bringUp(target);
    await show(target);
  } catch (error) {
    if (server.stopping.aborted) return server.ended();
    await server.stop();
    say(error instanceof Error ? error.message : String(error));
    return 1;
  }
  return server.ended();
}

const environment = "demo";

async function registerSamples(target: Target): Promise<void> {
  for (const file of globSync("templates/*/template.yaml", { cwd: root }).toSorted()) {
    const folder = join(file, "..");
    const { code } = await runCli(target, ["template", "register", folder]);
    // A sample that was edited keeps its registered form until its version is raised; the demo goes on with that.
    if (code !== 0) say(`${folder} was not registered; going on with what the server has`);
  }
}

/** Creates the demo's environment, or brings the one of an earlier start back to what it should be. */
async function bringUp(target: Target): Promise<void> {
  const status = await statusOf(target);
  if (status === "none") {
    const template = chooseTemplate();
    say(`Creating the environment ${environment} from the sample ${template}`);
    await settle(target, ["env", "create", environment, "--template", template]);
    return;
  }
  say(`Found the environment ${environment} of an earlier start, ${status}.`);
  if (status === "deployed-ok") {
    say("Looking whether all of it is still there:");
    const { code } = await runCli(target, ["env", "drift", environment]);
    if (code === 0) return;
  }
  await settle(target, ["env", "update", environment]);
}

async function settle(target: Target, args: readonly string[]): Promise<void> {
  const { code } = await runCli(target, [...args, "--wait", "--timeout", "5m"]);
  if (code !== 0) say(`That did not end well; ${bin} env show ${environment} says why`);
}

/** The richest sample for which everything is at hand; the last one runs anywhere. */
function chooseTemplate(): string {
  const hasTerraform = isOnPath("terraform") || isOnPath("tofu");
  const hasBoth = isSet("GLASSHOUSE_CONSUL_ADDRESS") && isSet("GLASSHOUSE_VAULT_ADDRESS");
  if (hasTerraform && hasBoth) return "discovery";
  if (hasTerraform) return "web-shop";
  say(
    "Neither terraform nor tofu is on PATH, so this takes the sample hello, which needs only a shell.",
  );
  say("With one of them it would take web-shop: Terraform and a web server in one graph.");
  return "hello";
}

function isSet(variable: string): boolean {
  return (process.env[variable] ?? "") !== "";
}

function isOnPath(program: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((at) => existsSync(join(at, program)));
}

const environmentSchema = z.object({
  status: z.string(),
  entrypoints: z.unknown().optional(),
});

async function statusOf(target: Target): Promise<string> {
  const { code, output } = await runCli(target, ["env", "show", environment, "-o", "json"], "keep");
  if (code === 3) return "none";
  if (code !== 0) throw new Error(`The server does not say how ${environment} is: ${output}`);
  const { status } = environmentSchema.parse(JSON.parse(output));
  return status === "destroyed" ? "none" : status;
}

async function show(target: Target): Promise<void> {
  await runCli(target, ["env", "show", environment]);
  const { code, output } = await runCli(target, ["env", "show", environment, "-o", "json"], "keep");
  const entrypoints = code === 0 ? environmentSchema.parse(JSON.parse(output)).entrypoints : [];
  for (const url of urlsIn(entrypoints)) say(`Entrypoint:  ${url}`);
  say(`API page:    ${target.url}/api/v1/docs`);
  const elsewhere =
    target.url === "http://127.0.0.1:8080" ? "" : `GLASSHOUSE_SERVER=${target.url} `;
  say(`Look round:  ${elsewhere}${bin} env graph ${environment}`);
  say(`Take down:   ${elsewhere}${bin} env destroy ${environment}`);
  say("Serving; Ctrl-C ends the server. The environment stays, and the next start finds it.");
}

/** Addresses of the entrypoints, whatever form the list has. */
function urlsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return /^https?:/u.test(value) ? [value] : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap((part) => urlsIn(part));
}

try {
  process.exitCode = await main();
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

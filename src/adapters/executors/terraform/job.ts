import { join } from "node:path";
import { isJsonObject } from "../../../lib/json.ts";
import { Mask } from "../../../lib/mask.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import { secretsOf } from "../../../domain/value.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import type { Log } from "../../../ports/telemetry.ts";
import type { Grants } from "../../../clients/process/environment.ts";
import { secretGrants, withLent } from "../../../clients/process/environment.ts";
import type { Isolation } from "../../../clients/process/isolation.ts";
import { childEnvironment } from "./child-environment.ts";
import type { Configuration } from "./configuration.ts";
import { readConfiguration } from "./configuration.ts";
import type { Layout } from "./directory.ts";
import { exists, layoutOf, makePrivate } from "./directory.ts";
import { variableFile } from "./hcl-value.ts";
import type { Redact } from "./mask.ts";
import { textsOf } from "./mask.ts";
import type { Memory } from "./memory.ts";
import { parseMemory } from "./memory.ts";
import { secretsOfHosts, type ModuleHosts } from "./module-hosts.ts";
import type { Program, ProgramFinder } from "./program.ts";
import type { TerraformSettings } from "./settings.ts";
import { normalPath, ownVariable, parseSettings } from "./settings.ts";
import type { Launcher } from "./terraform-process.ts";

/** What the factory was given. */
export interface Means {
  readonly isolation: Isolation;
  readonly finder: ProgramFinder;
  readonly grants: (template: string) => Grants;
  readonly hosts: (template: string) => ModuleHosts;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cliConfigFile?: string;
  readonly hide: readonly string[];
  readonly expose: readonly string[];
  readonly log: Log;
}

/** One piece of work on one group, with everything laid out that Terraform needs but state and `init`. */
export interface Job {
  readonly ctx: ExecutorContext;
  readonly means: Means;
  readonly settings: TerraformSettings;
  readonly layout: Layout;
  readonly configuration: Configuration;
  readonly program: Program;
  readonly launcher: Launcher;
  readonly filesDigest: string;
  readonly memory: Memory | null;
  readonly mask: Mask;
  readonly redact: Redact;
  /** Content of the variable file. Holds secrets in plain text: only ever handed over by a descriptor. */
  readonly variables: string;
}

/** Errors: `step-failed` for a group that cannot be worked on as it is. */
export async function prepareJob(ctx: ExecutorContext, means: Means): Promise<Job> {
  const settings = parseSettings(ctx.settings);
  const layout = layoutOf(ctx.workDirectory, settings.source);
  makePrivate(layout.tree);
  const [program] = await Promise.all([means.finder.find(), layFiles(ctx, settings, layout)]);
  const configuration = await checkConfiguration(ctx, layout, settings);
  const mask = await maskFor(ctx, means);
  return {
    ctx,
    means,
    settings,
    layout,
    configuration,
    program,
    launcher: launcherFor(ctx, means, { program: program.path, cwd: layout.module }),
    filesDigest: ctx.files.digestOf(settings.paths),
    memory: parseMemory(ctx.previous?.memory),
    mask,
    redact: (text) => mask.apply(text),
    variables: await variablesFor(ctx, settings, configuration),
  };
}

/** Only what the group uses, so that a template of many groups costs each of them its own files. */
async function layFiles(
  { files }: ExecutorContext,
  { paths }: TerraformSettings,
  { tree }: Layout,
): Promise<void> {
  const separate = paths.every((path) => path !== "" && !files.paths.includes(path));
  if (!separate) return await files.materialise("", tree);
  for (const path of paths) await files.materialise(path, join(tree, path));
}

function launcherFor(
  ctx: ExecutorContext,
  means: Means,
  where: { readonly program: string; readonly cwd: string },
): Launcher {
  const { isolation, environment: server, cliConfigFile, hide, expose } = means;
  const grants = withLent(means.grants(ctx.template.name), ctx.lent);
  const env = childEnvironment({ server, grants, cliConfigFile, ctx });
  const named = ["TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR"].flatMap((name) => env[name] ?? []);
  return { ...where, isolation, env, hide, expose: [ctx.workDirectory, ...expose, ...named] };
}

async function checkConfiguration(
  ctx: ExecutorContext,
  layout: Layout,
  settings: TerraformSettings,
): Promise<Configuration> {
  const { source } = settings;
  const folder = source === "" ? "the template's folder" : source;
  const there = exists(layout.module);
  const found = there ? await readConfiguration(layout.module) : null;
  if (found === null || !found.hasFiles) {
    throw refusal(ctx, `${folder} holds no .tf file`, "Let `source` name the root module's folder");
  }
  if (found.backendAt !== null) {
    throw refusal(
      ctx,
      `${folder}/${found.backendAt} configures a backend, but the service keeps the state itself`,
      "Take the block out; bring existing state in with an import",
    );
  }
  for (const moduleSource of found.moduleSources) checkModule(ctx, settings, moduleSource);
  return found;
}

/** A local module that is not among the group's files would change without anybody noticing. */
function checkModule(ctx: ExecutorContext, settings: TerraformSettings, source: string): void {
  if (!/^\.\.?\//u.test(source)) return;
  const path = normalPath(`${settings.source === "" ? "." : settings.source}/${source}`);
  const known = settings.paths.some(
    (each) => each === "" || path === each || path.startsWith(`${each}/`),
  );
  if (known) return;
  throw refusal(
    ctx,
    `its module "${source}" (${path}) lies outside of the group's files`,
    `Add \`files: [${path}]\` to its \`with\``,
  );
}

function refusal(ctx: ExecutorContext, what: string, advice: string): GlasshouseError {
  const message = `Group ${ctx.group} of ${ctx.template.name}: ${what}. ${advice}.`;
  return new GlasshouseError("step-failed", message);
}

async function maskFor(ctx: ExecutorContext, means: Means): Promise<Mask> {
  const mask = new Mask();
  const grants = withLent(means.grants(ctx.template.name), ctx.lent);
  for (const value of secretGrants(grants)) mask.add(value);
  for (const value of secretsOfHosts(means.hosts(ctx.template.name))) mask.add(value);
  for (const secret of secretsOf(ctx.settings)) {
    for (const text of textsOf(await ctx.reveal(secret))) mask.add(text);
  }
  return mask;
}

async function variablesFor(
  ctx: ExecutorContext,
  settings: TerraformSettings,
  configuration: Configuration,
): Promise<string> {
  const plain = await ctx.reveal(settings.variables);
  if (!isJsonObject(plain)) throw new GlasshouseError("internal", "Variables must be a map.");
  const { environment, template, group, owner } = ctx;
  const own = configuration.variables.has(ownVariable)
    ? {
        [ownVariable]: {
          environment: { id: environment.id, name: environment.name },
          template: { name: template.name, version: template.version },
          group,
          owner,
        },
      }
    : {};
  return variableFile({ ...plain, ...own });
}

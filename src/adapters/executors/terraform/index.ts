import type { Executor } from "../../../ports/executor.ts";
import type { Log } from "../../../ports/telemetry.ts";
import type { Isolation } from "../../../clients/process/isolation.ts";
import { applyGroup, destroyGroup } from "./apply.ts";
import type { Grants } from "./child-environment.ts";
import { checkGrants } from "./child-environment.ts";
import type { Means } from "./job.ts";
import { observeGroup, planGroup } from "./look.ts";
import type { Program } from "./program.ts";
import { ProgramFinder } from "./program.ts";
import { filesOf, settingsShape, validateSettings } from "./settings.ts";
import { settleGroup } from "./settle.ts";

export interface TerraformOptions {
  readonly isolation: Isolation;
  /** `terraform`, `tofu` or a path. Default: the first of the two on PATH. */
  readonly program?: string;
  /** Variables that the operator grants to children: for all templates, and further ones by a template's name. */
  readonly env?: Grants;
  readonly templateEnv?: Readonly<Record<string, Grants>>;
  /** In place of the server's own `TF_CLI_CONFIG_FILE`. */
  readonly cliConfigFile?: string;
  /** Children see nothing of it but their work directory, where bwrap exists. */
  readonly dataDirectory?: string;
  /** Stays visible although it lies in the data directory: a plug-in cache or mirror. */
  readonly expose?: readonly string[];
  /** Default: the server's own. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
}

export interface TerraformExecutor extends Executor {
  /** What it works with, for `doctor`. Errors: `step-failed` when neither Terraform nor OpenTofu is there. */
  program(): Promise<Program>;
}

/** The executor for Terraform and OpenTofu. Errors: `invalid-configuration` for a granted variable that is refused. */
export function createTerraformExecutor(options: TerraformOptions): TerraformExecutor {
  const { env = {}, templateEnv = {}, environment = process.env } = options;
  for (const grants of [env, ...Object.values(templateEnv)]) checkGrants(grants);
  const finder = new ProgramFinder(options.program, environment["PATH"] ?? "");
  const means: Means = {
    isolation: options.isolation,
    finder,
    grants: (template) => ({ ...env, ...templateEnv[template] }),
    server: environment,
    cliConfigFile: options.cliConfigFile,
    hide: options.dataDirectory === undefined ? [] : [options.dataDirectory],
    expose: options.expose ?? [],
    log: options.log,
  };
  return {
    name: "terraform",
    behaviour: 1,
    settings: settingsShape,
    filesOf,
    validate: validateSettings,
    plan: (ctx) => planGroup(ctx, means),
    apply: (ctx) => applyGroup(ctx, means),
    destroy: (ctx) => destroyGroup(ctx, means),
    observe: (ctx) => observeGroup(ctx, means),
    settle: (ctx) => settleGroup(ctx, means),
    program: () => finder.find(),
  };
}

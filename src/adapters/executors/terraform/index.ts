import type { Executor } from "../../../ports/executor.ts";
import type { Log } from "../../../ports/telemetry.ts";
import type { Grants } from "../../../clients/process/environment.ts";
import type { Isolation } from "../../../clients/process/isolation.ts";
import type { Means } from "./job.ts";
import { noModuleHosts, type ModuleHosts } from "./module-hosts.ts";
import type { Program } from "./program.ts";
import { ProgramFinder } from "./program.ts";
import { filesOf, settingsShape, validateSettings } from "./settings.ts";

export { checkGrants } from "./child-environment.ts";
export type { ModuleHosts } from "./module-hosts.ts";
export type { Program } from "./program.ts";

export interface TerraformHost {
  readonly isolation: Isolation;
  /** The server's own environment; an allow-list of it is passed on. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What the operator grants to the groups of this template; `checkGrants` says beforehand what is refused. */
  readonly grants: (template: string) => Grants;
  /** What `init` alone is given for this template's modules and providers; nothing when absent. */
  readonly hosts?: (template: string) => ModuleHosts;
  /** Directories of the server that children may not see. The work directory stays visible. */
  readonly hide: readonly string[];
  /** What stays visible although it lies below a hidden directory: a plug-in cache, a mirror. */
  readonly expose?: readonly string[];
  /** `terraform`, `tofu` or a path. Default: the first of the two on PATH. */
  readonly program?: string;
  /** In place of the server's own `TF_CLI_CONFIG_FILE`. */
  readonly cliConfigFile?: string;
  readonly log: Log;
}

export interface TerraformExecutor extends Executor {
  /** What it works with, for `doctor`. Errors: `step-failed` when neither Terraform nor OpenTofu is there. */
  program(): Promise<Program>;
}

/**
 * Groups made by Terraform or OpenTofu: a folder of the template as root module, its state sealed by the service. What only
 * a step needs is loaded by the first one, so that it does not slow the start of the server.
 */
export function createTerraformExecutor(host: TerraformHost): TerraformExecutor {
  const finder = new ProgramFinder(host.program, host.environment["PATH"] ?? "");
  const { expose = [], hosts = () => noModuleHosts } = host;
  const means: Means = { ...host, finder, expose, hosts };
  return {
    name: "terraform",
    behaviour: 1,
    settings: settingsShape,
    filesOf,
    validate: validateSettings,
    plan: async (ctx) => (await import("./look.ts")).planGroup(ctx, means),
    apply: async (ctx) => (await import("./apply.ts")).applyGroup(ctx, means),
    destroy: async (ctx) => (await import("./apply.ts")).destroyGroup(ctx, means),
    observe: async (ctx) => (await import("./look.ts")).observeGroup(ctx, means),
    settle: async (ctx) => (await import("./settle.ts")).settleGroup(ctx, means),
    program: () => finder.find(),
  };
}

import { GlasshouseError } from "../../../domain/errors.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import {
  grantedVariables,
  inheritedEnvironment,
  type Grants,
} from "../../../clients/process/environment.ts";

/** Beyond what every child inherits: what says where providers come from. */
const passed =
  /^TF_(?:PLUGIN_CACHE_DIR|PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE|REGISTRY_DISCOVERY_RETRY|REGISTRY_CLIENT_TIMEOUT)$/u;

/** These would change what a command means, or print secrets, behind the service's back. */
const refused = /^(?:TF_VAR_.*|TF_CLI_ARGS.*|TF_WORKSPACE|TF_DATA_DIR|TF_LOG.*|TF_STATE_.*)$/u;

/** Errors: `invalid-configuration` when a granted name is refused. */
export function checkGrants(grants: Readonly<Record<string, unknown>>): void {
  const bad = Object.keys(grants).find((name) => refused.test(name));
  if (bad === undefined) return;
  throw new GlasshouseError(
    "invalid-configuration",
    `executors.terraform.env: ${bad} cannot be granted, because it changes what the executor's own commands do. Variables of a module go into its \`variables\`.`,
  );
}

/** The whole environment of one child. Errors: `invalid-configuration` as above. */
export function childEnvironment(facts: {
  readonly server: Readonly<Record<string, string | undefined>>;
  readonly grants: Grants;
  readonly cliConfigFile: string | undefined;
  readonly ctx: ExecutorContext;
}): Readonly<Record<string, string>> {
  const { ctx, grants, cliConfigFile } = facts;
  checkGrants(grants);
  return {
    ...inheritedEnvironment(facts.server, passed),
    ...(cliConfigFile === undefined ? {} : { TF_CLI_CONFIG_FILE: cliConfigFile }),
    ...grantedVariables(grants),
    TF_IN_AUTOMATION: "1",
    TF_INPUT: "0",
    CHECKPOINT_DISABLE: "1",
    GLASSHOUSE_ENVIRONMENT: ctx.environment.id,
    GLASSHOUSE_GROUP: ctx.group,
    GLASSHOUSE_OWNER: ctx.owner,
    ...(ctx.traceparent === null ? {} : { TRACEPARENT: ctx.traceparent }),
  };
}

import { GlasshouseError } from "../../../domain/errors.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";

/** What the operator grants to children of this executor; by template where a function is given. */
export type Grants = Readonly<Record<string, string>>;

/** Of the server's own environment children see these, and nothing else. */
const passed =
  /^(?:PATH|HOME|LANG|LC_ALL|TMPDIR|(?:HTTPS?|NO|ALL)_PROXY|(?:https?|no|all)_proxy|SSL_CERT_(?:FILE|DIR)|CURL_CA_BUNDLE|GIT_SSL_CAINFO|TF_CLI_CONFIG_FILE|TERRAFORM_CONFIG|TF_PLUGIN_CACHE_DIR|TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE|TF_REGISTRY_(?:DISCOVERY_RETRY|CLIENT_TIMEOUT)|GODEBUG)$/u;

/** These would change what a command means, or print secrets, behind the service's back. */
const refused = /^(?:TF_VAR_.*|TF_CLI_ARGS.*|TF_WORKSPACE|TF_DATA_DIR|TF_LOG.*|TF_STATE_.*)$/u;

/** Errors: `invalid-configuration` when a granted name is refused. */
export function checkGrants(grants: Grants): void {
  const bad = Object.keys(grants).find((name) => refused.test(name));
  if (bad === undefined) return;
  throw new GlasshouseError(
    "invalid-configuration",
    `executors.terraform.env: ${bad} cannot be granted, because it changes what the executor's own commands do. Variables of a module go into its \`variables\`.`,
  );
}

export function childEnvironment(facts: {
  readonly server: Readonly<Record<string, string | undefined>>;
  readonly grants: Grants;
  readonly cliConfigFile: string | undefined;
  readonly ctx: ExecutorContext;
}): Readonly<Record<string, string>> {
  const { ctx, cliConfigFile } = facts;
  const own = Object.entries(facts.server).filter(
    (pair): pair is [string, string] => passed.test(pair[0]) && pair[1] !== undefined,
  );
  return {
    ...Object.fromEntries(own),
    ...(cliConfigFile === undefined ? {} : { TF_CLI_CONFIG_FILE: cliConfigFile }),
    ...facts.grants,
    TF_IN_AUTOMATION: "1",
    TF_INPUT: "0",
    CHECKPOINT_DISABLE: "1",
    GLASSHOUSE_ENVIRONMENT: ctx.environment.id,
    GLASSHOUSE_GROUP: ctx.group,
    GLASSHOUSE_OWNER: ctx.owner,
    ...(ctx.traceparent === null ? {} : { TRACEPARENT: ctx.traceparent }),
  };
}

/** Granted values that must not be shown: by their names, because a region or an account is granted the same way. */
export function secretGrants(grants: Grants): readonly string[] {
  return Object.entries(grants)
    .filter(([name]) => /secret|token|pass|key|credential|sas|private/iu.test(name))
    .filter(([name]) => !/_(?:id|file|path|name)$/iu.test(name))
    .map(([, value]) => value);
}

import { readFile } from "node:fs/promises";
import type { Grant, Grants } from "../clients/process/environment.ts";
import { GlasshouseError } from "../domain/errors.ts";

/** Variables for an executor's children: for all templates, and more for single ones. */
export interface ExecutorGrants {
  readonly env: Readonly<Record<string, string>>;
  readonly templates: Readonly<Record<string, { readonly env: Readonly<Record<string, string>> }>>;
}

/**
 * Looks up what the grants refer to, once, and returns the variables by template name; those that are leased are not among
 * them. `executor` is the key for messages, such as `executors.terraform`. Errors: `invalid-configuration` when a reference leads nowhere.
 */
export async function resolveGrants(
  executor: string,
  { env, templates }: ExecutorGrants,
  variables: Readonly<Record<string, string | undefined>>,
): Promise<(template: string) => Grants> {
  const shared = await resolveAll(`${executor}.env`, env, variables);
  const single = new Map<string, Grants>();
  for (const [name, granted] of Object.entries(templates)) {
    const own = await resolveAll(`${executor}.templates.${name}.env`, granted.env, variables);
    single.set(name, { ...shared, ...own });
  }
  return (template) => single.get(template) ?? shared;
}

/** `lease:` and a path of Vault that makes credentials, then `#` and a field of what it gives. */
const leasePattern = /^lease:(?<path>[^#\s]*[^/#\s])#(?<field>[^#\s]+)$/u;
const leasePrefix = "lease:";

/** A variable whose value is made for each attempt. */
export interface LeasedGrant {
  readonly name: string;
  readonly path: string;
  readonly field: string;
}

/**
 * The variables that are `lease:<path>#<field>`, by template name. `executor` is the key for messages. Errors:
 * `invalid-configuration` for one of another form, and for any without a Vault.
 */
export function leasedGrants(
  executor: string,
  { env, templates }: ExecutorGrants,
  { hasVault }: { readonly hasVault: boolean },
): (template: string) => readonly LeasedGrant[] {
  const leasedOf = (key: string, values: Readonly<Record<string, string>>) =>
    Object.entries(values)
      .filter(([, value]) => value.startsWith(leasePrefix))
      .map(([name, value]) => leasedGrant(`${key}.${name}`, { name, value, hasVault }));
  const shared = leasedOf(`${executor}.env`, env);
  const single = new Map<string, readonly LeasedGrant[]>();
  for (const [template, granted] of Object.entries(templates)) {
    const own = leasedOf(`${executor}.templates.${template}.env`, granted.env);
    const others = shared.filter(({ name }) => granted.env[name] === undefined);
    single.set(template, [...others, ...own]);
  }
  return (template) => single.get(template) ?? shared;
}

function leasedGrant(
  key: string,
  of: { readonly name: string; readonly value: string; readonly hasVault: boolean },
): LeasedGrant {
  const { path, field } = leasePattern.exec(of.value)?.groups ?? {};
  if (path === undefined || field === undefined)
    throw new GlasshouseError(
      "invalid-configuration",
      `${key} must be lease:<path>#<field>, such as lease:database/creds/shop#password.`,
    );
  if (!of.hasVault)
    throw new GlasshouseError(
      "invalid-configuration",
      `${key}: credentials that Vault makes need vault.address.`,
    );
  return { name: of.name, path, field };
}

async function resolveAll(
  key: string,
  values: Readonly<Record<string, string>>,
  variables: Readonly<Record<string, string | undefined>>,
): Promise<Grants> {
  const resolved: Record<string, Grant> = {};
  for (const [name, text] of Object.entries(values)) {
    // What is leased is made for each attempt.
    if (text.startsWith(leasePrefix)) continue;
    const value = await resolveReference(`${key}.${name}`, text, variables);
    resolved[name] = { value, isSecret: isSecret(name, text) };
  }
  return resolved;
}

/** What lies in a file or in Vault is taken for one, and what its name says; a region or an account is granted the same way. */
function isSecret(name: string, reference: string): boolean {
  if (/_(?:id|file|path|name|region)$/iu.test(name)) return false;
  if (/^(?:file|vault):/u.test(reference)) return true;
  return /secret|token|pass|key|credential|sas|private/iu.test(name);
}

/** What was looked up before, elsewhere; without a value nothing could be asked there. */
const lookedUp = [
  {
    prefix: "vault:",
    advice: "a value in Vault needs vault.address, and cannot say how to log in there.",
  },
  {
    prefix: "consul:kv/",
    advice: "a value in Consul needs consul.address, and cannot say how to get there.",
  },
] as const;

/**
 * The value behind `env:NAME`, `file:path` (without its last line end), or `vault:<mount>/<path>#<field>` and `consul:kv/<key>`, which
 * were looked up and are variables of that name; any other text is itself. Errors: `invalid-configuration` for one that leads nowhere.
 */
export async function resolveReference(
  key: string,
  reference: string,
  variables: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const outside = lookedUp.find(({ prefix }) => reference.startsWith(prefix));
  if (outside !== undefined) {
    const value = variables[reference];
    if (value !== undefined) return value;
    throw new GlasshouseError("invalid-configuration", `${key}: ${outside.advice}`);
  }
  if (reference.startsWith("env:")) {
    const value = variables[reference.slice(4)];
    if (value !== undefined) return value;
    throw new GlasshouseError(
      "invalid-configuration",
      `${key}: there is no environment variable ${reference.slice(4)}.`,
    );
  }
  return reference.startsWith("file:") ? readReference(key, reference.slice(5)) : reference;
}

async function readReference(key: string, path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).replace(/\r?\n$/u, "");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GlasshouseError("invalid-configuration", `${key}: ${reason}.`, { cause });
  }
}

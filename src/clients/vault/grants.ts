import { GlasshouseError } from "../../domain/errors.ts";

/** What of Vault a template may use through groups: each as it is written, or with `/*` at its end for all below. */
export interface VaultGrants {
  /** Keys of KV engines, as mount/path. */
  readonly paths: readonly string[];
  /** Roles of PKI engines, as mount/role. */
  readonly roles: readonly string[];
}

/** By a template's name. Null: whatever the policy of the server's token allows. */
export type VaultGranted = (template: string) => VaultGrants | null;

/** By templates' names, `*` for all of them; null grants everything to all. */
export function grantedIn(grants: Readonly<Record<string, VaultGrants>> | null): VaultGranted {
  if (grants === null) return () => null;
  const shared = grants["*"];
  return (template) => {
    const own = template === "*" ? undefined : grants[template];
    return {
      paths: [...(shared?.paths ?? []), ...(own?.paths ?? [])],
      roles: [...(shared?.roles ?? []), ...(own?.roles ?? [])],
    };
  };
}

/** Errors: `forbidden`, by the operator and not by Vault: waiting is no help. */
export function refuseUngranted(
  granted: VaultGranted,
  of: {
    readonly template: string;
    /** Whose wish it is, for the message. */
    readonly what: string;
    readonly kind: keyof VaultGrants;
    readonly whole: string;
  },
): void {
  const { template, what, kind, whole } = of;
  const allowed = granted(template)?.[kind] ?? null;
  if (allowed === null || allowed.some((one) => covers(one, whole))) return;
  const noun = kind === "paths" ? "key" : "role";
  throw new GlasshouseError(
    "forbidden",
    `The ${what} wants the ${noun} ${whole} in Vault, which template ${template} may not use: the operator allows it with vault.grants (${kind}).`,
  );
}

/** Whether a pattern, `mount/path` or `mount/path/*`, is for it. */
export function covers(allowed: string, whole: string): boolean {
  return allowed.endsWith("/*") ? whole.startsWith(allowed.slice(0, -1)) : allowed === whole;
}

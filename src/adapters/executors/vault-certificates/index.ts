import type { Executor } from "../../../ports/executor.ts";
import type { CertificateSteps, VaultCertificatesHost } from "./host.ts";
import { settingsShape, validateSettings } from "./settings.ts";

/**
 * A certificate that Vault's PKI engine issues, with its key in Vault's KV engine, version 2, for programs that read them there.
 * It is issued as declared ones are; its metadata and what it was made for say whose it is, and every write is compared with the
 * version that was seen. What only a step needs is loaded by the first one.
 */
export function vaultCertificatesExecutor(host: VaultCertificatesHost): Executor {
  let loading: Promise<CertificateSteps> | null = null;
  const steps = (): Promise<CertificateSteps> =>
    (loading ??= import("./steps.ts").then(({ certificateSteps }) => certificateSteps(host)));
  return {
    name: "vault-certificates",
    behaviour: 1,
    settings: settingsShape,
    issuesCertificates: true,
    filesOf: () => [],
    validate: validateSettings,
    plan: async (ctx) => (await steps()).plan(ctx),
    apply: async (ctx) => (await steps()).apply(ctx),
    destroy: async (ctx) => (await steps()).destroy(ctx),
    observe: async (ctx) => (await steps()).observe(ctx),
    // An apply and a destroy look first.
    settle: () => Promise.resolve({ kind: "again" }),
  };
}

import { refuseUngranted } from "../../../clients/vault/grants.ts";
import type { CertifiedKey } from "../../../clients/vault/certified-key.ts";
import { KeyIssuer } from "../../../clients/vault/certified-key.ts";
import { asVaultStep, sessionOrRefusal } from "../../../clients/vault/waiting.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type {
  ExecutorContext,
  ExecutorPlan,
  ExecutorResult,
  Observation,
} from "../../../ports/executor.ts";
import { issueFor, takeDown, tidy } from "./acts.ts";
import type { CertificateSteps, VaultCertificatesHost } from "./host.ts";
import { addressOf, look, placeOf, type Look } from "./look.ts";
import { recall, type CertificatePlace } from "./memory.ts";
import { changesOf, observedOf, resultOf } from "./result.ts";
import { parseSettings, type CertificateSettings } from "./settings.ts";

/** The steps of one server's groups. */
export function certificateSteps(host: VaultCertificatesHost): CertificateSteps {
  const issuer = new KeyIssuer();
  return {
    // What the operator does not grant fails: only what Vault denies is waited for.
    plan: async (ctx) => {
      const wanted = grantedSettings(host, ctx);
      return asVaultStep(ctx.signal, () => plan(host, ctx, wanted));
    },
    apply: async (ctx) => {
      const wanted = grantedSettings(host, ctx);
      return asVaultStep(ctx.signal, () => apply(host, ctx, { issuer, wanted }));
    },
    destroy: (ctx) => asVaultStep(ctx.signal, () => destroy(host, ctx)),
    observe: (ctx) => asVaultStep(ctx.signal, () => observe(host, ctx)),
  };
}

/** Errors: `forbidden` for what the operator has not granted; as `parseSettings`. */
function grantedSettings(host: VaultCertificatesHost, ctx: ExecutorContext): CertificateSettings {
  const { granted } = host;
  const wanted = parseSettings(ctx.group, ctx.settings, host);
  const of = { template: ctx.template.name, what: `group ${ctx.group}` };
  const role = `${wanted.pki}/${wanted.wish.role}`;
  refuseUngranted(granted, { ...of, kind: "paths", whole: addressOf(wanted.place) });
  refuseUngranted(granted, { ...of, kind: "roles", whole: role });
  return wanted;
}

async function plan(
  host: VaultCertificatesHost,
  ctx: ExecutorContext,
  wanted: CertificateSettings,
): Promise<ExecutorPlan> {
  const seen = await begin(host, ctx, wanted);
  return { changes: changesOf(seen), saved: null };
}

async function apply(
  host: VaultCertificatesHost,
  ctx: ExecutorContext,
  { issuer, wanted }: { readonly issuer: KeyIssuer; readonly wanted: CertificateSettings },
): Promise<ExecutorResult> {
  const seen = await begin(host, ctx, wanted);
  const at = certifiedKey(host, ctx, placeOf(seen.wanted));
  const isSomebodyElses = seen.due === "changed" && seen.here !== null;
  if (isSomebodyElses && !seen.known.isDriftKnown) throw conflict(ctx, seen);
  const made = await issueFor({ at, issuer, ctx, seen });
  await tidy((place) => certifiedKey(host, ctx, place), ctx, seen);
  return resultOf(ctx, { seen, made, nowMs: host.clock.now() });
}

/** What is there beside what is wanted. Errors: `conflict` for a key that somebody else has. */
async function begin(
  host: VaultCertificatesHost,
  ctx: ExecutorContext,
  wanted: CertificateSettings,
): Promise<Look> {
  const at = certifiedKey(host, ctx, placeOf(wanted));
  const known = await recall(ctx);
  const seen = await look(at, ctx, { wanted, known, nowMs: host.clock.now() });
  if (seen.isForeign) throw foreign(ctx, seen);
  return seen;
}

/** Only what is this group's; what is another's stays, and what is not there is gone. */
async function destroy(host: VaultCertificatesHost, ctx: ExecutorContext): Promise<void> {
  await takeDown((place) => certifiedKey(host, ctx, place), ctx, await recall(ctx));
}

async function observe(host: VaultCertificatesHost, ctx: ExecutorContext): Promise<Observation> {
  const wanted = parseSettings(ctx.group, ctx.settings, host);
  const at = certifiedKey(host, ctx, placeOf(wanted));
  const known = await recall(ctx);
  const seen = await look(at, ctx, { wanted, known, nowMs: host.clock.now() });
  const isThere = !seen.isForeign && seen.newest !== null;
  const isRight = isThere && seen.due === null;
  return {
    drift: isThere ? (isRight ? "none" : "drifted") : "missing",
    changes: isRight ? [] : changesOf(seen),
    observed: isThere ? observedOf(seen) : [],
    outputs: isRight ? resultOf(ctx, { seen, made: null, nowMs: host.clock.now() }).outputs : null,
  };
}

function certifiedKey(
  { session, log }: VaultCertificatesHost,
  { signal }: Pick<ExecutorContext, "signal">,
  { mount, path, pki }: CertificatePlace,
): CertifiedKey {
  return { session: sessionOrRefusal(session), kept: { mount, path }, pki, signal, log };
}

function foreign({ group }: ExecutorContext, { wanted }: Look): GlasshouseError {
  return new GlasshouseError(
    "conflict",
    `The key ${addressOf(wanted.place)} is in Vault already and group ${group} did not make it. Nothing was written or issued. Take it away or choose another path.`,
  );
}

function conflict({ group }: ExecutorContext, { wanted }: Look): GlasshouseError {
  return new GlasshouseError(
    "conflict",
    `Somebody else has changed ${addressOf(wanted.place)} of group ${group} since it was applied. It was not overwritten. \`glasshouse env drift\` shows it; an update after that puts it right.`,
  );
}

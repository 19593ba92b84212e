import { join } from "node:path";
import { mkdir } from "node:fs/promises";
import type { Check, CheckOutcome, CheckState } from "../domain/check.ts";
import { GlasshouseError } from "../domain/errors.ts";
import { evaluate, type Scope } from "../domain/expression.ts";
import type { Step } from "../domain/step.ts";
import { checkOf } from "../domain/template-checks.ts";
import { textOf } from "../domain/value.ts";
import { isJsonObject } from "../lib/json.ts";
import type { CheckTarget } from "../ports/check.ts";
import { timestamp } from "../ports/clock.ts";
import type { EngineDeps } from "./deps.ts";
import { deliveredScope } from "./delivered.ts";
import type { RunFacts } from "./run-cache.ts";
import { templateFiles } from "./template-files.ts";

/** What one look came to. */
export interface Looked {
  readonly state: CheckState;
  readonly outcome: CheckOutcome;
  /** When to look again; null when it passes or its time is over. */
  readonly againInMs: number | null;
}

/** First looks come quickly, so that an environment is ok as soon as it is; later ones at the check's own interval. */
const firstIntervalMs = 250;

/** Looks once at a check of the validating phase. Errors: `step-failed` when its target cannot be evaluated. */
export async function performCheck(
  deps: EngineDeps,
  of: {
    readonly facts: RunFacts;
    readonly step: Step;
    readonly openedAtMs: number;
    readonly looks: number;
    readonly signal: AbortSignal;
  },
): Promise<Looked> {
  const { facts, step } = of;
  const key =
    isJsonObject(step.input) && typeof step.input["key"] === "string"
      ? step.input["key"]
      : step.key;
  const check = checkOf(facts.template.body, key);
  if (check === undefined)
    throw new GlasshouseError("internal", `The template has no check ${key}.`);
  const records = await deps.store.read((tx) => tx.records.list(facts.environment.id));
  const target = await targetOf(deps, check, { facts, scope: deliveredScope(facts, records), key });
  const checker = deps.checkers.find((candidate) => candidate.kind === target.kind);
  if (checker === undefined)
    throw new GlasshouseError(
      "not-available",
      `There is no checker for ${target.kind} in this server.`,
    );
  const outcome = await checker.check(target, { timeoutMs: check.timeoutMs, signal: of.signal });
  const state: CheckState = {
    environmentId: facts.environment.id,
    key,
    status: outcome.healthy ? "passing" : "failing",
    detail: outcome.detail,
    target: describe(target),
    checkedAt: timestamp(deps.clock),
  };
  const left = of.openedAtMs + check.withinMs - deps.clock.now();
  const interval = Math.min(check.intervalMs, firstIntervalMs * 2 ** Math.min(of.looks, 16));
  return {
    state,
    outcome,
    againInMs: outcome.healthy || left <= 0 ? null : Math.min(interval, Math.max(left, 1)),
  };
}

async function targetOf(
  deps: EngineDeps,
  check: Check,
  of: { readonly facts: RunFacts; readonly scope: Scope; readonly key: string },
): Promise<CheckTarget> {
  const { probe } = check;
  const text = (value: Parameters<typeof evaluate>[0]): string => textOf(evaluate(value, of.scope));
  if ("http" in probe) return { kind: "http", url: text(probe.http), expect: probe.expect };
  if ("tcp" in probe) return tcpTarget(text(probe.tcp), of.key);
  if ("consul" in probe) {
    const { service, datacenter, tag } = probe.consul;
    return {
      kind: "consul",
      service: text(service),
      datacenter: datacenter === null ? null : text(datacenter),
      tag: tag === null ? null : text(tag),
    };
  }
  const directory = join(
    deps.settings.workRoot,
    of.facts.environment.id,
    of.facts.template.name,
    "checks",
  );
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await templateFiles(of.facts.template.files, deps.blobs).materialise("", directory);
  return {
    kind: "command",
    argv: probe.command.map((argument) => text(argument)),
    directory,
    env: {},
  };
}

function tcpTarget(address: string, key: string): CheckTarget {
  const match = /^\[?([^\]]+?)\]?:(\d{1,5})$/u.exec(address);
  const port = Number(match?.[2]);
  if (match?.[1] === undefined || port < 1 || port > 65_535) {
    throw new GlasshouseError(
      "step-failed",
      `Check ${key} looks at "${address}", which is not host:port.`,
    );
  }
  return { kind: "tcp", host: match[1], port };
}

function describe(target: CheckTarget): string {
  switch (target.kind) {
    case "http":
      return target.url;
    case "tcp":
      return `${target.host}:${target.port}`;
    case "consul":
      return [
        target.tag === null ? target.service : `${target.tag}.${target.service}`,
        ...(target.datacenter === null ? [] : [target.datacenter]),
      ].join("@");
    case "command":
      return target.argv.join(" ");
  }
}

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Check, ConsulProbe } from "../domain/check.ts";
import { GlasshouseError } from "../domain/errors.ts";
import { evaluate, type Scope } from "../domain/expression.ts";
import { textOf } from "../domain/value.ts";
import type { CheckTarget } from "../ports/check.ts";
import type { EngineDeps } from "./deps.ts";
import type { EnvironmentState } from "./run-cache.ts";
import { templateFiles } from "./template-files.ts";

/** What a check looks at, with its expressions evaluated. Errors: `step-failed` when they give nothing that can be looked at. */
export function checkTarget(
  deps: Pick<EngineDeps, "settings">,
  check: Check,
  of: {
    readonly facts: EnvironmentState;
    readonly scope: Scope;
    readonly key: string;
  },
): CheckTarget {
  const { probe } = check;
  const text = (value: Parameters<typeof evaluate>[0]): string => textOf(evaluate(value, of.scope));
  if ("http" in probe) return { kind: "http", url: text(probe.http), expect: probe.expect };
  if ("tcp" in probe) return tcpTarget(text(probe.tcp), of.key);
  if ("consul" in probe) return consulTarget(probe.consul, text);
  return {
    kind: "command",
    argv: probe.command.map((argument) => text(argument)),
    directory: directoryOf(deps, of.facts),
    env: {},
  };
}

/** Puts what a check's command needs in place. Safe to repeat; others have nothing to prepare. */
export async function prepareTarget(
  deps: Pick<EngineDeps, "blobs">,
  target: CheckTarget,
  { template }: Pick<EnvironmentState, "template">,
): Promise<void> {
  if (target.kind !== "command") return;
  await mkdir(target.directory, { recursive: true, mode: 0o700 });
  await templateFiles(template.files, deps.blobs).materialise("", target.directory);
}

/** For people. */
export function describeTarget(target: CheckTarget): string {
  switch (target.kind) {
    case "http":
      return target.url;
    case "tcp":
      return `${target.host}:${target.port}`;
    case "consul":
      return [
        "node" in target.of ? `node ${target.of.node}` : taggedService(target.of),
        ...(target.datacenter === null ? [] : [target.datacenter]),
      ].join("@");
    case "command":
      return target.argv.join(" ");
  }
}

function taggedService({
  service,
  tag,
}: {
  readonly service: string;
  readonly tag: string | null;
}): string {
  return tag === null ? service : `${tag}.${service}`;
}

function directoryOf(
  { settings }: Pick<EngineDeps, "settings">,
  { environment, template }: EnvironmentState,
): string {
  return join(settings.workRoot, environment.id, template.name, "checks");
}

function consulTarget(
  probe: ConsulProbe,
  text: (value: string) => string,
): Extract<CheckTarget, { kind: "consul" }> {
  const datacenter = probe.datacenter === null ? null : text(probe.datacenter);
  if ("node" in probe) return { kind: "consul", of: { node: text(probe.node) }, datacenter };
  const tag = probe.tag === null ? null : text(probe.tag);
  return { kind: "consul", of: { service: text(probe.service), tag }, datacenter };
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

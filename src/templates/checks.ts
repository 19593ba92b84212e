import { checkDefaults } from "../domain/check.ts";
import type { Check, CheckProbe, ConsulProbe } from "../domain/check.ts";
import type { ExpressionRules } from "../domain/expression-check.ts";
import type { Json } from "../lib/json.ts";
import { parseDuration } from "../lib/duration.ts";
import type { CheckFile } from "../contract/template.ts";
import { checkText, compileRunsOn, refuseExpression, scalarTypes } from "./context.ts";
import type { Context, PlacedReference } from "./context.ts";
import { checkProgram } from "./paths.ts";
import type { Path } from "./problem.ts";

type Kinds = Pick<ExpressionRules, "kinds">;

/** Checks one check and gives it in its final form, with what its expressions read. */
export function compileCheck(
  context: Context,
  file: CheckFile,
  at: { readonly path: Path } & Kinds,
): { readonly check: Check; readonly references: readonly PlacedReference[] } {
  const { path } = at;
  const given = (["http", "tcp", "command", "consul"] as const).filter(
    (kind) => file[kind] !== undefined,
  );
  if (given.length !== 1) {
    const what = given.length === 0 ? "says nothing to look at" : `has ${given.join(" and ")}`;
    context.problems.add(
      { path, key: true },
      `the check ${what}: give it exactly one of http, tcp, command and consul`,
    );
  }
  if (file.expect !== undefined && file.http === undefined) {
    context.problems.add(
      { path: [...path, "expect"], key: true },
      "expect belongs to http checks: remove it",
    );
  }
  refuseExpression(context, file.description, [...path, "description"]);
  const { probe, references } = compileProbe(context, file, at);
  const check: Check = {
    description: file.description ?? "",
    probe,
    intervalMs: durationOr(file.interval, checkDefaults.intervalMs),
    timeoutMs: durationOr(file.timeout, checkDefaults.timeoutMs),
    failures: file.failures ?? checkDefaults.failures,
    withinMs: durationOr(file.within, checkDefaults.withinMs),
    // An empty list is kept: it says "from anywhere" where the group says otherwise.
    ...(file.runsOn === undefined ? {} : { runsOn: compileRunsOn(context, file.runsOn, path) }),
  };
  refuseZero(context, check, path);
  return { check, references };
}

function refuseZero(context: Context, check: Check, path: Path): void {
  for (const [key, ms] of [
    ["interval", check.intervalMs],
    ["timeout", check.timeoutMs],
  ] as const) {
    if (ms <= 0) context.problems.add({ path: [...path, key] }, `${key} must be longer than 0s`);
  }
}

function compileProbe(
  context: Context,
  file: CheckFile,
  { path, kinds }: { readonly path: Path } & Kinds,
): { readonly probe: CheckProbe; readonly references: readonly PlacedReference[] } {
  const limits = kinds === undefined ? {} : { kinds };
  if (file.command !== undefined) {
    const at = [...path, "command"];
    const references = compileCommand(context, file.command, {
      path: at,
      where: "a check's command",
      ...limits,
    });
    return { probe: { command: file.command }, references };
  }
  if (file.consul !== undefined) {
    const at = [...path, "consul"];
    const probe = consulProbe(context, file.consul, at);
    const references = Object.entries(probe).flatMap(([name, value]) =>
      value === null
        ? []
        : placed(context, value, { path: [...at, name], where: "a check by Consul", ...limits }),
    );
    return { probe: { consul: probe }, references };
  }
  if (file.tcp !== undefined) {
    const at = [...path, "tcp"];
    if (!file.tcp.includes("${{") && !isAddress(file.tcp)) {
      context.problems.add(
        { path: at },
        `${JSON.stringify(file.tcp)} is no host:port: write it as in "localhost:5432"`,
      );
    }
    return {
      probe: { tcp: file.tcp },
      references: placed(context, file.tcp, { path: at, where: "a check's address", ...limits }),
    };
  }
  const http = file.http ?? "";
  const at = [...path, "http"];
  if (file.http !== undefined) checkUrl(context, http, at);
  const expect = file.expect ?? 200;
  return {
    probe: { http, expect: Array.isArray(expect) ? expect : [expect] },
    references: placed(context, http, { path: at, where: "a check's URL", ...limits }),
  };
}

function consulProbe(
  context: Context,
  file: NonNullable<CheckFile["consul"]>,
  path: Path,
): ConsulProbe {
  const { service, node, datacenter = null, tag } = file;
  if ((service === undefined) === (node === undefined)) {
    const what = service === undefined ? "names nothing" : "has service and node";
    const message = `the check by Consul ${what}: give it exactly one of service and node`;
    context.problems.add({ path, key: true }, message);
  }
  if (node === undefined) return { service: service ?? "", datacenter, tag: tag ?? null };
  if (tag !== undefined && service === undefined) {
    const message = "tag belongs to a service: remove it, or look at a service";
    context.problems.add({ path: [...path, "tag"], key: true }, message);
  }
  return { node, datacenter };
}

/** Checks a command line: program first, arguments scalar, no secrets. */
export function compileCommand(
  context: Context,
  command: readonly Json[],
  at: { readonly path: Path; readonly where: string } & Kinds,
): readonly PlacedReference[] {
  checkProgram(context, command[0], [...at.path, 0]);
  return command.flatMap((argument, index) => {
    if (typeof argument !== "string") return [];
    const path = [...at.path, index];
    if (argument.includes("\0"))
      context.problems.add({ path }, "the argument holds a NUL character: remove it");
    return placed(context, argument, { ...at, path, expected: scalarTypes });
  });
}

function placed(
  context: Context,
  value: string,
  at: { readonly path: Path; readonly where: string } & Kinds & Pick<ExpressionRules, "expected">,
): readonly PlacedReference[] {
  const rules: ExpressionRules = {
    where: at.where,
    secrets: false,
    expected: at.expected ?? ["string"],
    ...(at.kinds === undefined ? {} : { kinds: at.kinds }),
  };
  const { references } = checkText(context, value, { path: at.path, rules });
  return references.map((reference) => ({ ...reference, path: at.path }));
}

/** A URL must be http or https as far as it is written out. */
export function checkUrl(context: Context, value: string, path: Path): void {
  const right = 'write it as in "http://localhost:8080/health"';
  if (value.includes("${{")) {
    const begin = value.slice(0, value.indexOf("${{"));
    if (begin === "" || /^https?:\/\//u.test(begin)) return;
    context.problems.add(
      { path },
      `the URL begins with ${JSON.stringify(begin)}, not with http:// or https://: ${right}`,
    );
  } else if (!URL.canParse(value) || !/^https?:\/\//u.test(value)) {
    context.problems.add({ path }, `${JSON.stringify(value)} is no http or https URL: ${right}`);
  }
}

function isAddress(value: string): boolean {
  const port = /^(?:[^\s:/]+|\[[0-9a-fA-F:]+\]):(?<port>\d{1,5})$/u.exec(value)?.groups?.["port"];
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
}

export function durationOr<T>(text: string | undefined, fallback: T): number | T {
  return text === undefined ? fallback : (parseDuration(text) ?? fallback);
}

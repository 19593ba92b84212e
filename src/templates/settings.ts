import type { Json } from "../lib/json.ts";
import { isJsonObject } from "../lib/json.ts";
import { nearest } from "../lib/nearest.ts";
import type { ExpressionRules, ExpressionType } from "../domain/expression-check.ts";
import type { SettingsShape } from "../domain/settings.ts";
import { checkText, checkTree, refuseInKey, scalarTypes } from "./context.ts";
import type { Context, PlacedReference } from "./context.ts";
import { checkPath, checkProgram } from "./paths.ts";
import type { Path } from "./problem.ts";
import { shown } from "./schema-issues.ts";

interface Field {
  readonly context: Context;
  readonly shape: SettingsShape;
  readonly value: Json;
  readonly path: Path;
  /** Secrets are accepted by something around it. */
  readonly secret: boolean;
  readonly argument: boolean;
}

/** Checks a group's settings against its executor's shape; gives what their expressions read. */
export function checkSettings(
  context: Context,
  settings: { readonly shape: SettingsShape; readonly value: Json; readonly path: Path },
): readonly PlacedReference[] {
  return checkField({ context, ...settings, secret: false, argument: false });
}

function checkField(field: Field): readonly PlacedReference[] {
  const { context, shape, value, path } = field;
  const marked: Field = {
    ...field,
    secret: field.secret || shape.secret === true,
    argument: field.argument || shape.argument === true,
  };
  if (shape.notAvailable === true) {
    context.problems.add(
      { path, key: true },
      `${nameOf(path)} is not available in this version: remove it`,
    );
    return [];
  }
  if (typeof value === "string" && value.includes("${{")) return checkExpression(marked);
  if (shape.type === "any")
    return checkTree(context, value, { path, rules: rulesOf(marked, undefined) });
  if (shape.type === "object") return checkObject(marked, shape);
  if (shape.type === "map") return checkMap(marked, shape);
  if (shape.type === "list") return checkList(marked, shape);
  checkScalar(marked, shape);
  return [];
}

function checkExpression(field: Field): readonly PlacedReference[] {
  const { context, shape, value, path } = field;
  if (typeof value !== "string") return [];
  if (shape.literal === true || shape.path === true) {
    const message = `${nameOf(path)} must be written out: expressions are not allowed here, as it is needed before anything is evaluated`;
    context.problems.add({ path }, message);
    return [];
  }
  const { references } = checkText(context, value, {
    path,
    rules: rulesOf(field, expectedOf(shape)),
  });
  return references.map((reference) => ({ ...reference, path }));
}

function rulesOf(field: Field, expected: readonly ExpressionType[] | undefined): ExpressionRules {
  const place = field.argument
    ? `${nameOf(field.path)}, an argument of a process`
    : nameOf(field.path);
  return {
    where: place,
    secrets: field.secret && !field.argument,
    kinds: ["parameter", "environment", "group", "requires", "secret", "certificate"],
    ...(expected === undefined
      ? {}
      : { expected: field.secret ? [...expected, "secret"] : expected }),
  };
}

function expectedOf(shape: SettingsShape): readonly ExpressionType[] | undefined {
  if (shape.type === "any") return undefined;
  if (shape.type === "object") return ["map"];
  return shape.type === "scalar" ? scalarTypes : [shape.type];
}

function checkObject(
  field: Field,
  shape: Extract<SettingsShape, { type: "object" }>,
): readonly PlacedReference[] {
  const { context, value, path } = field;
  if (!isJsonObject(value)) return misfit(field, "a map");
  for (const [key, wanted] of Object.entries(shape.fields)) {
    if (wanted.required === true && !Object.hasOwn(value, key)) {
      const about = wanted.description === undefined ? "" : ` (${wanted.description})`;
      context.problems.add({ path, key: true }, `${nameOf(path)} has no ${key}${about}: add it`);
    }
  }
  return Object.entries(value).flatMap(([key, item]) => {
    const at = [...path, key];
    const known = Object.hasOwn(shape.fields, key) ? shape.fields[key] : undefined;
    if (known !== undefined) return checkField({ ...field, shape: known, value: item, path: at });
    const names = Object.keys(shape.fields);
    const near = nearest(key, names);
    const hint = near === null ? `it may have ${names.join(", ")}` : `did you mean ${near}?`;
    context.problems.add(
      { path: at, key: true },
      `unknown key ${key}: ${nameOf(path)} has no such key; ${hint}`,
    );
    return [];
  });
}

function checkMap(
  field: Field,
  shape: Extract<SettingsShape, { type: "map" }>,
): readonly PlacedReference[] {
  const { context, value, path } = field;
  if (!isJsonObject(value)) return misfit(field, "a map");
  const pattern = shape.keyPattern === undefined ? null : new RegExp(shape.keyPattern, "u");
  return Object.entries(value).flatMap(([key, item]) => {
    const at = [...path, key];
    if (key.includes("${{")) refuseInKey(context, key, at);
    else if (pattern?.test(key) === false) {
      context.problems.add(
        { path: at, key: true },
        `the key ${JSON.stringify(key)} of ${nameOf(path)} must match ${pattern.source}`,
      );
    }
    return checkField({ ...field, shape: shape.values, value: item, path: at });
  });
}

function checkList(
  field: Field,
  shape: Extract<SettingsShape, { type: "list" }>,
): readonly PlacedReference[] {
  const { context, value, path } = field;
  if (!Array.isArray(value)) return misfit(field, "a list");
  if (shape.minItems !== undefined && value.length < shape.minItems) {
    context.problems.add(
      { path },
      `${nameOf(path)} must have at least ${shape.minItems} items, not ${value.length}`,
    );
  }
  if (field.argument || shape.items.argument === true)
    checkProgram(context, value[0], [...path, 0]);
  return value.flatMap((item: Json, index) =>
    checkField({ ...field, shape: shape.items, value: item, path: [...path, index] }),
  );
}

type Scalar = Extract<SettingsShape, { enum?: readonly string[] }>;

function checkScalar(field: Field, shape: Scalar): void {
  const { context, value, path } = field;
  if (!fits(shape.type, value)) {
    misfit(field, wantedOf(shape.type));
    return;
  }
  const text = typeof value === "string" ? value : JSON.stringify(value);
  if (shape.enum !== undefined && !shape.enum.includes(text)) {
    context.problems.add(
      { path },
      `${nameOf(path)} must be one of ${shape.enum.join(", ")}, not ${shown(value)}`,
    );
  }
  if (shape.pattern !== undefined && !new RegExp(shape.pattern, "u").test(text)) {
    context.problems.add(
      { path },
      `${nameOf(path)} must match ${shape.pattern}, not be ${shown(value)}`,
    );
  }
  if (shape.path === true) checkPath(context, text, path);
  if (text.includes("\0"))
    context.problems.add({ path }, `${nameOf(path)} holds a NUL character: remove it`);
}

function fits(type: Scalar["type"], value: Json): boolean {
  if (type === "integer") return Number.isSafeInteger(value);
  if (type === "scalar")
    return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
  return typeof value === type;
}

function wantedOf(type: Scalar["type"]): string {
  const words = {
    string: "text",
    integer: "a whole number",
    number: "a number",
    boolean: "true or false",
    scalar: "text, a number, true or false",
  } as const;
  return words[type];
}

function misfit(field: Field, wanted: string): readonly PlacedReference[] {
  field.context.problems.add(
    { path: field.path },
    `${nameOf(field.path)} must be ${wanted}, not ${shown(field.value)}`,
  );
  return [];
}

function nameOf(path: Path): string {
  const last = path.at(-1);
  if (typeof last === "number") return `item ${last + 1} of ${String(path.at(-2))}`;
  return last ?? "the file";
}

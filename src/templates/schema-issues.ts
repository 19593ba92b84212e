import { z } from "zod";
import type { Json } from "../lib/json.ts";
import { isJsonObject } from "../lib/json.ts";
import { nearest } from "../lib/nearest.ts";
import { templateSchema } from "../contract/template.ts";
import type { TemplateFile } from "../contract/template.ts";
import type { Path, Problems } from "./problem.ts";

/** Checks the data against the schema of template.yaml. Null when there are mistakes; they are added to `problems`. */
export function parseTemplate(value: Json, problems: Problems): TemplateFile | null {
  if (value === null || (isJsonObject(value) && Object.keys(value).length === 0)) {
    problems.add(
      { path: [] },
      "the file is empty: begin with apiVersion: glasshouse/v1 and kind: Template",
    );
    return null;
  }
  const parsed = templateSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) addIssue(issue, value, problems);
  return null;
}

function addIssue(issue: z.core.$ZodIssue, root: Json, problems: Problems): void {
  const path: Path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
  if (issue.code === "unrecognized_keys") {
    for (const key of issue.keys)
      problems.add({ path: [...path, key], key: true }, unknownKey(key, path));
    return;
  }
  if (issue.code === "invalid_key") {
    const message = issue.issues[0]?.message ?? "is not allowed";
    problems.add({ path, key: true }, `the name ${JSON.stringify(path.at(-1))} ${message}`);
    return;
  }
  const given = valueAt(root, path);
  if (given === undefined)
    problems.add({ path, key: true }, `${subjectOf(path)} is missing: it ${issue.message}`);
  else problems.add({ path }, `${subjectOf(path)} ${issue.message}, not ${shown(given)}`);
}

function unknownKey(key: string, path: Path): string {
  const known = knownKeys(templateSchema, path);
  const near = nearest(key, known);
  const where = path.length === 0 ? "a template" : subjectOf(path);
  const hint = near === null ? `it may have ${known.join(", ")}` : `did you mean ${near}?`;
  return `unknown key ${key}: ${where} has no such key; ${hint}`;
}

/** Keys that the schema knows at a path. */
function knownKeys(schema: z.core.$ZodType, path: Path): readonly string[] {
  let current = unwrapped(schema);
  for (const part of path) {
    if (current instanceof z.ZodObject) current = unwrapped(shapeOf(current)[String(part)]);
    else if (current instanceof z.ZodRecord) current = unwrapped(current.valueType);
    else if (current instanceof z.ZodArray) current = unwrapped(current.element);
    else return [];
  }
  return current instanceof z.ZodObject ? Object.keys(shapeOf(current)) : [];
}

function shapeOf(schema: z.ZodObject): Readonly<Record<string, z.core.$ZodType | undefined>> {
  return schema.shape;
}

function unwrapped(schema: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  return schema instanceof z.ZodOptional ? unwrapped(schema.unwrap()) : schema;
}

function subjectOf(path: Path): string {
  const last = path.at(-1);
  if (last === undefined) return "the file";
  const parent = path.at(-2);
  if (typeof last === "number") return `item ${last + 1} of ${String(parent ?? "the list")}`;
  return parent === undefined ? last : `${last} of ${String(parent)}`;
}

function valueAt(root: Json, path: Path): Json | undefined {
  let value: Json | undefined = root;
  for (const part of path) {
    if (Array.isArray(value) && typeof part === "number") value = itemOf(value, part);
    else if (isJsonObject(value) && Object.hasOwn(value, part)) value = value[part];
    else return undefined;
  }
  return value;
}

function itemOf(list: readonly Json[], index: number): Json | undefined {
  return list[index];
}

export function shown(value: Json): string {
  if (Array.isArray(value)) return "a list";
  if (isJsonObject(value)) return "a map";
  const text = JSON.stringify(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`;
}

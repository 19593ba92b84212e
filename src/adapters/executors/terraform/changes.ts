import { z } from "zod";
import type { Json } from "../../../lib/json.ts";
import type { Change } from "../../../domain/resource.ts";
import type { Redact } from "./mask.ts";
import { maskByName, maskMarked, redactJson } from "./mask.ts";

const json = z.custom<Json>();

const change = z.object({
  address: z.string(),
  type: z.string(),
  mode: z.string().optional(),
  change: z.object({
    actions: z.array(z.string()),
    before: json.optional(),
    after: json.optional(),
    after_unknown: json.optional(),
    before_sensitive: json.optional(),
    after_sensitive: json.optional(),
  }),
});

const planDocument = z.object({
  resource_changes: z.array(change).optional(),
  resource_drift: z.array(change).optional(),
});

const maxValueLength = 8192;

/** `show -json` of a plan, in the one form for differences, with every secret masked. Reads and no-ops are left out. */
export function changesOf(
  document: unknown,
  which: "resource_changes" | "resource_drift",
  redact: Redact,
): readonly Change[] {
  const found = planDocument.parse(document)[which] ?? [];
  return found
    .filter(({ mode }) => mode !== "data")
    .map((item) => changeOf(item, redact))
    .filter(({ action }) => action !== "none");
}

/** The word that the event stream and the plan use, as one of ours. */
export function actionOf(words: readonly string[]): Change["action"] {
  const [first = "", second] = words;
  if (second !== undefined || first === "replace") return "replace";
  if (first === "create" || first === "update") return first;
  return first === "delete" || first === "remove" ? "destroy" : "none";
}

function changeOf({ address, type, change: raw }: z.infer<typeof change>, redact: Redact): Change {
  const before = maskMarked(raw.before ?? null, raw.before_sensitive);
  const known = maskMarked(raw.after ?? null, raw.after_sensitive);
  const after = known === null ? null : withUnknown(known, raw.after_unknown);
  return {
    address: redact(address),
    action: actionOf(raw.actions),
    ...(before === null ? {} : { before: shown(before, type, redact) }),
    ...(after === null ? {} : { after: shown(after, type, redact) }),
  };
}

function shown(value: Json, type: string, redact: Redact): Json {
  const masked = redactJson(maskByName(value, type), redact);
  const { length } = JSON.stringify(masked);
  return length > maxValueLength ? `(${length} characters, too long to show)` : masked;
}

function withUnknown(value: Json, unknown: Json | undefined): Json {
  if (unknown === true) return "(known after apply)";
  if (Array.isArray(value) && Array.isArray(unknown)) {
    return value.map((item: Json, index) => withUnknown(item, unknown[index]));
  }
  if (!isPlain(value) || !isPlain(unknown)) return value;
  const members = Object.entries(unknown).map(
    ([key, item]) => [key, withUnknown(value[key] ?? null, item)] as const,
  );
  return { ...value, ...Object.fromEntries(members.filter(([, item]) => item !== null)) };
}

function isPlain(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { z } from "zod";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { Change, ObservedResource } from "../../../domain/resource.ts";
import type { Value, Values } from "../../../domain/value.ts";
import { isJsonObject, type Json } from "../../../lib/json.ts";
import type { Mask } from "../../../lib/mask.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";

/** What a command wrote to the file named in GLASSHOUSE_RESULT. Unknown members are ignored. */
export type CommandResult = z.infer<typeof schema>;

const json: z.ZodType<Json> = z.json();
const attributes = z.record(z.string(), json);
const schema = z.object({
  outputs: attributes.default({}),
  /** Names of outputs to seal. Outputs that contain a value of `inputs` that was secret are sealed anyway. */
  sensitive: z.array(z.string()).default([]),
  resources: z
    .array(
      z.object({
        address: z.string().min(1).max(1024),
        type: z.string().max(256).default(""),
        id: z.union([z.string(), z.number()]).nullish(),
        attributes: attributes.default({}),
      }),
    )
    .max(10_000)
    .default([]),
  /** For `observe`: what differs. */
  changes: z
    .array(
      z.object({
        address: z.string().min(1).max(1024),
        action: z.enum(["create", "update", "replace", "destroy", "none"]).default("update"),
        before: json.optional(),
        after: json.optional(),
      }),
    )
    .max(10_000)
    .default([]),
  progress: z
    .object({
      done: z.number().nonnegative(),
      total: z.number().positive().nullable().default(null),
      message: z.string().default(""),
    })
    .optional()
    .catch(undefined),
});

const maxBytes = 4 * 1024 * 1024;

/**
 * Reads a result. A file that is missing or empty is an empty result. Errors: `step-failed` when it is not a regular file,
 * is larger than 4 MiB or does not fit; the message never quotes it, as it may hold secrets.
 */
export async function readResult(path: string): Promise<CommandResult> {
  const text = (await readText(path)).trim();
  if (text === "") return schema.parse({});
  const value = parseText(text);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const places = result.error.issues.map(
    (issue) => `${issue.path.join(".") || "the document"} (${issue.message})`,
  );
  throw fault(`does not fit at ${places.slice(0, 5).join(", ")}`);
}

/** Outputs with what is secret sealed in its place: whole strings, also inside lists and objects. */
export async function sealOutputs(
  ctx: Pick<ExecutorContext, "seal">,
  { outputs, sensitive }: CommandResult,
  mask: Mask,
): Promise<Values> {
  const sealed: Record<string, Value> = {};
  for (const [name, value] of Object.entries(outputs)) {
    const all = sensitive.includes(name);
    sealed[name] = await sealIn(ctx, {
      name,
      value,
      isSecret: (text) => all || mask.apply(text) !== text,
    });
  }
  return sealed;
}

/** Resources as the port wants them, free of known secrets. */
export function observedOf({ resources }: CommandResult, mask: Mask): readonly ObservedResource[] {
  return resources.map(({ address, type, id, attributes: found }) => ({
    address: mask.apply(address),
    type,
    externalId: id === undefined || id === null ? null : mask.apply(String(id)),
    attributes: Object.fromEntries(
      Object.entries(found).map(([key, value]) => [key, maskJson(value, mask)]),
    ),
  }));
}

export function changesOf({ changes }: CommandResult, mask: Mask): readonly Change[] {
  return changes.map(({ address, action, before, after }) => ({
    address: mask.apply(address),
    action,
    ...(before === undefined ? {} : { before: maskJson(before, mask) }),
    ...(after === undefined ? {} : { after: maskJson(after, mask) }),
  }));
}

async function sealIn(
  ctx: Pick<ExecutorContext, "seal">,
  of: { readonly name: string; readonly value: Json; readonly isSecret: (text: string) => boolean },
): Promise<Value> {
  const { name, value, isSecret } = of;
  if (typeof value === "string" || typeof value === "number")
    return isSecret(String(value)) ? await ctx.seal(name, String(value)) : value;
  if (Array.isArray(value)) {
    const items: readonly Json[] = value;
    return await Promise.all(
      items.map((item, n) => sealIn(ctx, { ...of, name: `${name}/${n}`, value: item })),
    );
  }
  if (!isJsonObject(value)) return value;
  const members = Object.entries(value).map(
    async ([key, item]) =>
      [key, await sealIn(ctx, { ...of, name: `${name}/${key}`, value: item })] as const,
  );
  return Object.fromEntries(await Promise.all(members));
}

export function maskJson(value: Json, mask: Mask): Json {
  if (typeof value === "string") return mask.apply(value);
  if (Array.isArray(value)) return value.map((item: Json) => maskJson(item, mask));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [mask.apply(key), maskJson(item, mask)]),
  );
}

/** The child may have put anything there, a link out of its sight too. */
async function readText(path: string): Promise<string> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw fault("cannot be read");
  });
  if (file === null) return "";
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw fault("is not a regular file");
    if (stat.size > maxBytes) throw fault("is larger than 4 MiB");
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw fault("is not JSON");
  }
}

function fault(what: string): GlasshouseError {
  return new GlasshouseError(
    "step-failed",
    `The result that the command wrote to the file in GLASSHOUSE_RESULT ${what}. It is one JSON object with \`outputs\`, \`resources\` and \`progress\`, all optional.`,
  );
}

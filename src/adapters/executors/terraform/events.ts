import { z } from "zod";

/**
 * The lines that `terraform plan -json` and `apply -json` print, one JSON document each. Unknown types and fields are
 * accepted: the stream grows with each version. A line that is no event (a panic, a plug-in's own words) is text.
 */
const hook = z.object({
  resource: z.object({ addr: z.string(), resource_type: z.string() }),
  action: z.string().optional(),
  id_key: z.string().optional(),
  id_value: z.string().optional(),
});

const diagnostic = z.object({
  severity: z.string(),
  summary: z.string(),
  detail: z.string().optional(),
  address: z.string().optional(),
  range: z
    .object({
      filename: z.string(),
      start: z.object({ line: z.number(), column: z.number() }),
    })
    .optional(),
});

const event = z.object({
  "@message": z.string(),
  type: z.string(),
  hook: z.unknown().optional(),
  diagnostic: diagnostic.optional().catch(undefined),
  change: z
    .object({ resource: z.object({ addr: z.string() }), action: z.string() })
    .optional()
    .catch(undefined),
  changes: z
    .object({ add: z.number(), change: z.number(), remove: z.number(), operation: z.string() })
    .optional()
    .catch(undefined),
});

export type Diagnostic = z.infer<typeof diagnostic>;

/** One thing that happened to one object. */
export interface HookEvent {
  readonly kind: "started" | "completed" | "errored";
  /** create, update, delete, read, … */
  readonly action: string;
  readonly address: string;
  readonly type: string;
  readonly idKey: string | null;
  readonly id: string | null;
}

export type StreamEvent =
  | { readonly kind: "hook"; readonly message: string; readonly hook: HookEvent }
  | {
      readonly kind: "change" | "drift";
      readonly message: string;
      readonly address: string;
      readonly action: string;
    }
  | {
      readonly kind: "summary";
      readonly message: string;
      readonly operation: string;
      readonly count: number;
    }
  | { readonly kind: "diagnostic"; readonly message: string; readonly diagnostic: Diagnostic }
  | { readonly kind: "message"; readonly message: string }
  /** Says nothing to a reader: the version line, values of outputs. */
  | { readonly kind: "quiet" }
  | { readonly kind: "text"; readonly message: string };

const hookKinds = {
  apply_start: "started",
  apply_complete: "completed",
  apply_errored: "errored",
} as const;

/** What one line of output says. */
export function parseEvent(line: string): StreamEvent {
  const parsed = event.safeParse(parseLine(line));
  if (!parsed.success) return { kind: "text", message: line };
  const { "@message": message, type, change, changes } = parsed.data;
  if (isHookType(type)) return hookEvent(type, parsed.data) ?? { kind: "message", message };
  if (type === "version" || type === "outputs") return { kind: "quiet" };
  if (parsed.data.diagnostic !== undefined) {
    return { kind: "diagnostic", message, diagnostic: parsed.data.diagnostic };
  }
  if (changes !== undefined && type === "change_summary") {
    const count = changes.add + changes.change + changes.remove;
    return { kind: "summary", message, operation: changes.operation, count };
  }
  if (change !== undefined && (type === "planned_change" || type === "resource_drift")) {
    const kind = type === "planned_change" ? "change" : "drift";
    return { kind, message, address: change.resource.addr, action: change.action };
  }
  return { kind: "message", message };
}

function isHookType(type: string): type is keyof typeof hookKinds {
  return Object.hasOwn(hookKinds, type);
}

function hookEvent(
  type: keyof typeof hookKinds,
  data: z.infer<typeof event>,
): StreamEvent | undefined {
  const parsed = hook.safeParse(data.hook);
  if (!parsed.success) return undefined;
  const { resource, action, id_key: idKey, id_value: id } = parsed.data;
  return {
    kind: "hook",
    message: data["@message"],
    hook: {
      kind: hookKinds[type],
      action: action ?? "",
      address: resource.addr,
      type: resource.resource_type,
      idKey: idKey ?? null,
      id: id ?? null,
    },
  };
}

function parseLine(line: string): unknown {
  if (!line.startsWith("{")) return null;
  try {
    const value: unknown = JSON.parse(line);
    return value;
  } catch {
    return null;
  }
}

import { z } from "zod";
import type { Json } from "../../../lib/json.ts";
import type { Attempt } from "../../../domain/step.ts";
import type { HookEvent } from "./events.ts";

/**
 * What an attempt leaves in the store while it acts, so that another worker, which may not see this one's disk, knows
 * what was begun: batches of events, the leaks that were found, and marks that a whole state was sealed.
 */
const kinds = { s: "started", c: "completed", e: "errored" } as const;
const letters = { started: "s", completed: "c", errored: "e" } as const;

const eventRow = z.tuple([
  z.enum(["s", "c", "e"]),
  z.string(),
  z.string(),
  z.string(),
  z.string().nullable(),
  z.string().nullable(),
]);

const leakRow = z.object({
  address: z.string(),
  type: z.string(),
  id: z.string().nullable(),
  why: z.enum(["completed", "started"]),
});

const note = z.discriminatedUnion("terraform", [
  z.object({ terraform: z.literal("events"), events: z.array(eventRow) }),
  z.object({ terraform: z.literal("sealed"), serial: z.number() }),
  z.object({ terraform: z.literal("leaks"), leaks: z.array(leakRow) }),
]);

/** Something that may exist and that no state knows. */
export type Leak = z.infer<typeof leakRow>;

export interface Recollection {
  /** Events since the last sealed state, in order. */
  readonly events: readonly HookEvent[];
  /** Leaks that earlier attempts of this step found. */
  readonly leaks: readonly Leak[];
}

export function eventsNote(events: readonly HookEvent[]): Json {
  return {
    terraform: "events",
    events: events.map((item) => [
      letters[item.kind],
      item.action,
      item.address,
      item.type,
      item.idKey,
      item.id,
    ]),
  };
}

export function sealedNote(serial: number): Json {
  return { terraform: "sealed", serial };
}

export function leaksNote(leaks: readonly Leak[]): Json {
  return { terraform: "leaks", leaks: leaks.map((leak) => ({ ...leak })) };
}

/** What earlier attempts left, oldest first. Notes of other kinds are passed over. */
export function recollect(attempts: readonly Attempt[]): Recollection {
  let events: HookEvent[] = [];
  const leaks = new Map<string, Leak>();
  for (const raw of attempts.flatMap((attempt) => attempt.notes)) {
    const parsed = note.safeParse(raw);
    if (!parsed.success) continue;
    const data = parsed.data;
    if (data.terraform === "events") events.push(...data.events.map(hookOf));
    if (data.terraform === "sealed") events = [];
    if (data.terraform === "leaks") for (const leak of data.leaks) leaks.set(leak.address, leak);
  }
  return { events, leaks: [...leaks.values()] };
}

function hookOf([letter, action, address, type, idKey, id]: z.infer<typeof eventRow>): HookEvent {
  return { kind: kinds[letter], action, address, type, idKey, id };
}

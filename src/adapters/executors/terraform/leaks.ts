import { GlasshouseError } from "../../../domain/errors.ts";
import type { HookEvent } from "./events.ts";
import type { Leak } from "./notes.ts";
import type { StateInstance, TerraformState } from "./state-file.ts";
import { currentInstances } from "./state-file.ts";

/**
 * What the events say was created and the state does not know. A state that parses may lack objects too (OpenTofu
 * killed with -9 was measured to keep 1 of 3), so every state is compared.
 *
 * - `base`: the last sealed state from before the events. An object that was there already is not what a later "create"
 *   made: with `create_before_destroy` old and new share the address.
 * - `clean`: the program ended by itself, and its providers answered. Then what it began and did not complete, it dealt
 *   with.
 */
export function suspectedLeaks(facts: {
  readonly events: readonly HookEvent[];
  readonly base: TerraformState | null;
  readonly state: TerraformState | null;
  readonly clean: boolean;
}): readonly Leak[] {
  const before = facts.base === null ? none : currentInstances(facts.base);
  const now = facts.state === null ? none : currentInstances(facts.state);
  const leaks = new Map<string, Leak>();
  for (const made of creations(facts.events)) {
    const { address, type, id, completed } = made;
    if (livesNowhereElse(type) || (facts.clean && !completed)) continue;
    const here = now.get(address);
    if (here !== undefined && isOutcome(made, here, before.get(address))) continue;
    leaks.set(address, { address, type, id, why: completed ? "completed" : "started" });
  }
  return [...leaks.values()];
}

/** Types whose objects exist only in the state or in the work directory: making them again costs nothing. */
export function livesNowhereElse(type: string): boolean {
  return type === "terraform_data" || /^(?:null|random|time|tls|local)_/u.test(type);
}

const none: ReadonlyMap<string, StateInstance> = new Map();

interface Creation {
  readonly address: string;
  readonly type: string;
  readonly completed: boolean;
  readonly idKey: string | null;
  readonly id: string | null;
}

/** Each address that was being created, with what is known last of it. */
function creations(events: readonly HookEvent[]): readonly Creation[] {
  const made = new Map<string, Creation>();
  for (const { kind, action, address, type, idKey, id } of events) {
    if (action !== "create") continue;
    const completed = kind === "completed";
    // A repeated record of a start (from the notes and from the output) must not hide the completion.
    if (!completed && made.get(address)?.completed === true) continue;
    made.set(address, { address, type, completed, idKey, id });
  }
  return [...made.values()];
}

/** Whether the object in the state is the one that this creation made. */
function isOutcome(
  made: Creation,
  here: StateInstance,
  before: StateInstance | undefined,
): boolean {
  if (made.completed && made.id !== null) {
    const known = here.attributes[made.idKey ?? "id"];
    return typeof known === "string" ? known === made.id : JSON.stringify(known) === made.id;
  }
  return (
    before === undefined || JSON.stringify(before.attributes) !== JSON.stringify(here.attributes)
  );
}

/** What a person has to decide about. */
export function leakError(group: string, leaks: readonly Leak[]): GlasshouseError {
  return new GlasshouseError("suspected-leak", leakText(group, leaks), {
    details: leaks.map((leak) => ({ message: describe(leak) })),
  });
}

export function leakText(group: string, leaks: readonly Leak[]): string {
  const few = leaks.slice(0, 3).map((leak) => describe(leak));
  const more = leaks.length > 3 ? ` and ${leaks.length - 3} more` : "";
  return `Group ${group} may have left objects that no state knows: ${few.join("; ")}${more}. Look for them, remove them, then go on with \`glasshouse run retry --accept-leak ADDRESS\`.`;
}

function describe({ address, id, why }: Leak): string {
  const known = id === null ? "" : ` (id ${id})`;
  return why === "completed"
    ? `${address}${known} was created and is not in the state`
    : `${address} was being created when it was cut off`;
}

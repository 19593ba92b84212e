/** What a client asked of one environment name, and what it was told. Times are of one monotonic clock. */
export interface Operation {
  readonly kind: "create" | "update" | "destroy" | "read";
  /** What it wants the parameter to be. */
  readonly value?: string;
  readonly ifsequence?: number;
  readonly beganMs: number;
  readonly answeredMs: number;
  readonly answer:
    | { readonly is: "accepted"; readonly command: string }
    | { readonly is: "refused"; readonly code: string }
    | { readonly is: "seen"; readonly at: Seen };
}

/** What a read showed. */
export interface Seen {
  readonly id: string;
  readonly sequence: number;
  readonly status: string;
  readonly value: string;
}

/** An event of one life of the name; all lives in their order, each in the order of its sequence. */
export interface Told {
  readonly environmentId: string;
  readonly sequence: number;
  readonly type: string;
  readonly commandId: string | null;
}

interface State {
  readonly kind: "absent" | "living" | "destroying";
  readonly id: string;
  readonly sequence: number;
  readonly value: string;
}

const before: State = { kind: "absent", id: "", sequence: 0, value: "" };

/**
 * Whether the operations on one name could have happened one after the other, each at a moment between its beginning and its
 * answer. The journal is the order to be proven: it must explain every answer (what was accepted was lawful then, what was
 * read was so, what was refused was unlawful at some moment meanwhile) and contradict no clock (what was answered before
 * another began stands before it). That is linearizability, with the order given instead of searched for.
 */
export function linearFaults(
  operations: readonly Operation[],
  told: readonly Told[],
): readonly string[] {
  const commands = new Map(
    operations.flatMap((operation) =>
      operation.answer.is === "accepted" ? [[operation.answer.command, operation] as const] : [],
    ),
  );
  const states = statesOf(told, commands);
  const placed = operations.map((operation) => ({ operation, at: placeOf(operation, told) }));
  return placed.flatMap(({ operation, at }) => {
    const faults = at === null ? [] : answerFaults(operation, at, states);
    return [...faults, ...orderFaults(operation, at, { placed, states })];
  });
}

/** The state after each event, with the state before all at 0. */
function statesOf(
  told: readonly Told[],
  commands: ReadonlyMap<string, Operation>,
): readonly State[] {
  const states: State[] = [before];
  for (const { environmentId, sequence, type, commandId } of told) {
    const last = states.at(-1) ?? before;
    const operation = commandId === null ? undefined : commands.get(commandId);
    const accepted = type === "command.accepted" ? operation?.kind : undefined;
    const kind =
      type === "environment.destroyed"
        ? "absent"
        : accepted === "create"
          ? "living"
          : accepted === "destroy"
            ? "destroying"
            : last.kind;
    const value = accepted === "create" || accepted === "update" ? operation?.value : undefined;
    states.push({ kind, id: environmentId, sequence, value: value ?? last.value });
  }
  return states;
}

/** Index of the state that it made or saw; null for refusals, which have none. */
function placeOf({ answer }: Operation, told: readonly Told[]): number | null {
  if (answer.is === "refused") return null;
  const at = told.findIndex((event) =>
    answer.is === "accepted"
      ? event.type === "command.accepted" && event.commandId === answer.command
      : event.environmentId === answer.at.id && event.sequence === answer.at.sequence,
  );
  return at + 1;
}

function answerFaults(
  operation: Operation,
  at: number,
  states: readonly State[],
): readonly string[] {
  const { kind, answer, ifsequence } = operation;
  if (at === 0) return [`${words(operation)}: the journal knows nothing of it`];
  const then = states[at - 1] ?? before;
  if (answer.is === "seen") return readFaults(operation, states[at] ?? before, answer.at);
  const faults = isLawful(kind, then)
    ? []
    : [`${words(operation)} was accepted when it was ${then.kind}`];
  const sequence = states[at]?.sequence ?? 0;
  if (ifsequence !== undefined && sequence !== ifsequence + 1)
    faults.push(`${words(operation)} was accepted at ${sequence - 1}, not at ${ifsequence}`);
  return faults;
}

function readFaults(operation: Operation, state: State, seen: Seen): readonly string[] {
  const absent = seen.status === "destroyed";
  if (absent === (state.kind === "absent") && (absent || seen.value === state.value)) return [];
  return [`${words(operation)} saw ${JSON.stringify(seen)} when it was ${JSON.stringify(state)}`];
}

function isLawful(kind: Operation["kind"], { kind: now }: State): boolean {
  if (kind === "create") return now === "absent";
  return kind === "destroy" ? now !== "absent" : now === "living";
}

interface All {
  readonly placed: readonly { readonly operation: Operation; readonly at: number | null }[];
  readonly states: readonly State[];
}

/** Whether it stands after everything that was answered before it began; a refusal: whether it can. */
function orderFaults(
  operation: Operation,
  at: number | null,
  { placed, states }: All,
): readonly string[] {
  const earlier = placed.filter((other) => other.operation.answeredMs < operation.beganMs);
  const low = Math.max(0, ...earlier.map((other) => other.at ?? 0));
  if (at !== null) {
    const isRead = operation.answer.is === "seen";
    const late = isRead ? at < low : at <= low;
    return late && at > 0
      ? [`${words(operation)} stands at ${at}, and what was answered before it began at ${low}`]
      : [];
  }
  // What came later can have made the cause only if it is a read, which changes nothing.
  const ceilings = placed.flatMap((other) => {
    if (other.operation.beganMs <= operation.answeredMs || other.at === null) return [];
    return [other.operation.answer.is === "seen" ? other.at : other.at - 1];
  });
  const high = Math.min(states.length - 1, ...ceilings);
  const possible = states.slice(low, high + 1);
  return possible.some((state) => isRefusable(operation, state))
    ? []
    : [`${words(operation)} was refused, and at no moment from ${low} to ${high} it had to be`];
}

function isRefusable({ kind, ifsequence, answer }: Operation, state: State): boolean {
  const code = answer.is === "refused" ? answer.code : "";
  if (code === "precondition-failed") return state.sequence !== ifsequence;
  if (code === "already-exists") return kind === "create" && state.kind !== "absent";
  return (
    (code === "conflict" || code === "not-found") && kind !== "create" && !isLawful(kind, state)
  );
}

function words({ kind, value, ifsequence, answer, beganMs, answeredMs }: Operation): string {
  const what = [kind, value, ifsequence === undefined ? undefined : `if ${ifsequence}`];
  const id = answer.is === "accepted" ? answer.command : answer.is;
  return `${what.filter((word) => word !== undefined).join(" ")} (${id}, ${beganMs.toFixed(0)}–${answeredMs.toFixed(0)} ms)`;
}

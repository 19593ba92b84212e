import type { Change } from "../../../domain/resource.ts";
import { asGlasshouseError } from "../../../domain/errors.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import { actionOf } from "./changes.ts";
import { diagnosticText } from "./diagnostics.ts";
import type { Diagnostic, HookEvent, StreamEvent } from "./events.ts";
import { parseEvent } from "./events.ts";
import type { Redact } from "./mask.ts";
import { eventsNote } from "./notes.ts";

const noteEveryMs = 800;
const maxEventsPerNote = 500;
const maxTextLength = 8192;

/**
 * Takes the lines of one run of Terraform: shows them, counts progress, keeps the mistakes, and notes durably which
 * objects were begun and completed, in batches of less than a second.
 */
export class EventJournal {
  readonly events: HookEvent[] = [];
  readonly diagnostics: Diagnostic[] = [];
  readonly changes: Change[] = [];
  readonly drifted: { readonly address: string; readonly action: Change["action"] }[] = [];
  /** Lines that were no events. */
  text = "";

  readonly #ctx: ExecutorContext;
  readonly #redact: Redact;
  readonly #lost: (error: unknown) => void;
  #unsaved: HookEvent[] = [];
  #timer: NodeJS.Timeout | null = null;
  #saving: Promise<void> = Promise.resolve();
  #total: number | null = null;
  #done = 0;
  #closed = false;

  /** `lost` is called when this step belongs to somebody else now. */
  constructor(ctx: ExecutorContext, redact: Redact, lost: (error: unknown) => void) {
    this.#ctx = ctx;
    this.#redact = redact;
    this.#lost = lost;
  }

  line(raw: string): void {
    const event = parseEvent(raw);
    if (event.kind === "quiet" || raw.trim() === "") return;
    this.#keep(event);
    const message = event.kind === "diagnostic" ? diagnosticLine(event.diagnostic) : event.message;
    for (const part of this.#redact(message).split("\n")) {
      if (part.trim() !== "") this.#ctx.log(part.slice(0, maxTextLength));
    }
  }

  /**
   * To be called when the program has ended. What was not stored yet is not stored any more: the state that is sealed next
   * says it all, and until then the output file does.
   */
  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #keep(event: StreamEvent): void {
    switch (event.kind) {
      case "hook":
        this.#hook(event.hook);
        break;
      case "diagnostic":
        this.diagnostics.push(event.diagnostic);
        break;
      case "change":
        this.changes.push(this.#change(event));
        break;
      case "drift":
        this.drifted.push(this.#change(event));
        break;
      case "summary":
        if (event.operation === "plan") this.#planned(event.count, event.message);
        break;
      case "text":
        if (this.text.length < maxTextLength) this.text += `${event.message}\n`;
        break;
      case "message":
      case "quiet":
        break;
    }
  }

  #change(event: { readonly address: string; readonly action: string }): Change {
    return { address: this.#redact(event.address), action: actionOf([event.action]) };
  }

  #planned(count: number, message: string): void {
    this.#total = count;
    this.#ctx.progress({ done: this.#done, total: count, message: this.#redact(message) });
  }

  #hook(hook: HookEvent): void {
    if (hook.action === "read") return;
    // An id that holds a secret is not kept; the address is enough to look for it.
    const id = hook.id === null || this.#redact(hook.id) !== hook.id ? null : hook.id;
    const event = { ...hook, id };
    this.events.push(event);
    this.#unsaved.push(event);
    this.#saveSoon();
    if (hook.kind !== "completed") return;
    this.#done += 1;
    const message = this.#redact(`${hook.address} ${hook.action} complete`);
    this.#ctx.progress({ done: this.#done, total: this.#total, message });
  }

  #saveSoon(): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#save();
    }, noteEveryMs);
  }

  #save(): void {
    const before = this.#saving;
    this.#saving = (async () => {
      await before;
      await this.#saveBatches();
    })();
  }

  async #saveBatches(): Promise<void> {
    while (this.#unsaved.length > 0 && !this.#closed) {
      const batch = this.#unsaved.slice(0, maxEventsPerNote);
      try {
        await this.#ctx.note(eventsNote(batch));
        this.#unsaved = this.#unsaved.slice(batch.length);
      } catch (error) {
        // A store that is away comes back: the batch stays for the next time. Another owner does not go away.
        if (asGlasshouseError(error).code === "stale-token") this.#lost(error);
        else this.#saveSoon();
        return;
      }
    }
  }
}

function diagnosticLine(diagnostic: Diagnostic): string {
  const word = diagnostic.severity === "error" ? "Error" : "Warning";
  return `${word}: ${diagnosticText(diagnostic)}`;
}

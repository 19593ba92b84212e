import { GlasshouseError } from "../domain/errors.ts";
import { isId } from "../domain/id.ts";
import type { Template } from "../domain/template.ts";
import type { TemplateSummary } from "../ports/repositories.ts";
import type { ReadTx } from "../ports/store.ts";
import { Moved } from "./effect.ts";
import { chooseTemplate, findVersion, split } from "./template-choice.ts";

const kept = 64;

interface Choice {
  readonly template: Template;
  /** What it was chosen among. While that stays, so does the choice. */
  readonly among: string;
}

/**
 * Templates by the reference that they were last asked for with: a command that names one it has is prepared without a look
 * into the store. Whether the reference still means it is told by `confirm`, in the command's transaction. Bounded.
 */
export class TemplateChoices {
  readonly #known = new Map<string, Choice>();

  /** The template of before, else the one that `read` finds now. Errors: those of `chooseTemplate`. */
  async choose(
    reference: string,
    read: (fn: (tx: ReadTx) => Promise<Choice>) => Promise<Choice>,
  ): Promise<Template> {
    const known = this.#known.get(reference);
    if (known !== undefined) return known.template;
    const choice = await read(async (tx) => ({
      template: await chooseTemplate(tx, reference),
      among: await candidates(tx, reference),
    }));
    this.#keep(reference, choice);
    return choice.template;
  }

  /** Errors: `Moved` when the reference means another template by now, or this one with another content or status. */
  async confirm(tx: ReadTx, reference: string, template: Template): Promise<void> {
    const known = this.#known.get(reference);
    const among = await candidates(tx, reference);
    if (known?.template === template && known.among === among) return;
    const now = await versionNow(tx, reference);
    if (
      now?.id === template.id &&
      now.digest === template.digest &&
      now.status === template.status
    ) {
      this.#keep(reference, { template, among });
      return;
    }
    this.#known.delete(reference);
    throw new Moved();
  }

  #keep(reference: string, choice: Choice): void {
    this.#known.delete(reference);
    const oldest = this.#known.keys().next().value;
    if (this.#known.size >= kept && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(reference, choice);
  }
}

/** All that a choice depends on, as one text: comparing it costs less than choosing again. */
async function candidates({ templates }: ReadTx, reference: string): Promise<string> {
  if (!isId("template", reference))
    return JSON.stringify(await templates.marks(split(reference)[0]));
  const one = await templates.summary(reference);
  return JSON.stringify([one?.id, one?.status, one?.digest]);
}

async function versionNow(tx: ReadTx, reference: string): Promise<TemplateSummary | null> {
  try {
    return await findVersion(tx, reference);
  } catch (error) {
    if (error instanceof GlasshouseError && error.code === "not-found") return null;
    throw error;
  }
}

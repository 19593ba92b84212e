import { GlasshouseError } from "../domain/errors.ts";
import type { Template } from "../domain/template.ts";
import type { TemplateSummary } from "../ports/repositories.ts";
import type { ReadTx } from "../ports/store.ts";
import { Moved } from "./effect.ts";
import { chooseTemplate, findVersion } from "./template-choice.ts";

const kept = 64;

/**
 * Templates by the reference that they were last asked for with: a command that names one it has is prepared without a look
 * into the store. Whether the reference still means it is told by `confirm`, in the command's transaction. Bounded.
 */
export class TemplateChoices {
  readonly #known = new Map<string, Template>();

  /** The template of before, else the one that `read` finds now. Errors: those of `chooseTemplate`. */
  async choose(
    reference: string,
    read: (fn: (tx: ReadTx) => Promise<Template>) => Promise<Template>,
  ): Promise<Template> {
    const known = this.#known.get(reference);
    if (known !== undefined) return known;
    const template = await read((tx) => chooseTemplate(tx, reference));
    const oldest = this.#known.keys().next().value;
    if (this.#known.size >= kept && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(reference, template);
    return template;
  }

  /** Errors: `Moved` when the reference means another template by now, or this one with another content or status. */
  async confirm(tx: ReadTx, reference: string, template: Template): Promise<void> {
    const now = await versionNow(tx, reference);
    if (now?.id === template.id && now.digest === template.digest && now.status === template.status)
      return;
    this.#known.delete(reference);
    throw new Moved();
  }
}

async function versionNow(tx: ReadTx, reference: string): Promise<TemplateSummary | null> {
  try {
    return await findVersion(tx, reference);
  } catch (error) {
    if (error instanceof GlasshouseError && error.code === "not-found") return null;
    throw error;
  }
}

/** Values shorter than this are not masked: they would blot out ordinary text and protect nothing. */
const shortestMasked = 4;

/** Replaces known secret values in texts, also in the forms that programs print them in. */
export class Mask {
  readonly #needles = new Set<string>();
  readonly #replacement: string;
  #longest = 0;
  /** Made when it is needed: values come early, lines come often. */
  #pattern: RegExp | null = null;

  constructor(replacement = "(secret)") {
    this.#replacement = replacement;
  }

  /** From now on this value is masked: as it is, line by line, and in its JSON, URL, form, hex and base64 forms. */
  add(value: string): void {
    const lines = value.split(/\r?\n/u).map((line) => line.trim());
    for (const plain of [value, ...lines]) {
      if (plain.length < shortestMasked) continue;
      for (const form of formsOf(plain)) {
        this.#needles.add(form);
        this.#longest = Math.max(this.#longest, form.length);
      }
    }
    this.#pattern = null;
  }

  apply(text: string): string {
    if (this.#needles.size === 0) return text;
    return text.replace(this.#compiled(), () => this.#replacement);
  }

  /**
   * Where a text that goes on can be cut so that no value is torn in two: what is before it can be masked and let go, the
   * rest must be kept until more is known. At most the text's length minus that of the longest form.
   */
  cut(text: string): number {
    if (this.#needles.size === 0) return text.length;
    const limit = Math.max(0, text.length - this.#longest);
    for (const found of text.matchAll(this.#compiled()))
      if (found.index < limit && found.index + found[0].length > limit) return found.index;
    return limit;
  }

  /** A value that contains another must come first, or its rest would stay. */
  #compiled(): RegExp {
    this.#pattern ??= new RegExp(
      [...this.#needles]
        .sort((a, b) => b.length - a.length)
        .map((form) => RegExp.escape(form))
        .join("|"),
      "g",
    );
    return this.#pattern;
  }
}

function formsOf(plain: string): readonly string[] {
  const bytes = Buffer.from(plain, "utf8");
  const hex = bytes.toString("hex");
  return [
    plain,
    ...jsonForms(plain),
    ...urlForms(plain),
    hex,
    hex.toUpperCase(),
    ...base64Forms(bytes),
  ].filter((form) => form.length >= shortestMasked);
}

/** As JSON.stringify writes it, as Go does (which escapes for HTML too), and each of them once more inside another string. */
function jsonForms(plain: string): readonly string[] {
  const once = jsonInner(plain);
  const go = once.replaceAll(
    /[<>&\u2028\u2029]/gu,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return [once, go, jsonInner(once), jsonInner(go)];
}

function jsonInner(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

function urlForms(plain: string): readonly string[] {
  // A lone surrogate has no URL form; it is written as the replacement character everywhere.
  const url = encodeURIComponent(plain.toWellFormed());
  const form = new URLSearchParams({ v: plain }).toString().slice(2);
  return [url, form, ...[url, form].map(lowerCaseCodes)];
}

function lowerCaseCodes(text: string): string {
  return text.replaceAll(/%[0-9A-F]{2}/gu, (code) => code.toLowerCase());
}

/** Within a longer text the base64 of a value depends on where it starts; these are the parts that never change. */
function base64Forms(bytes: Buffer): readonly string[] {
  const whole = bytes.toString("base64").replace(/=+$/u, "");
  const parts = [0, 1, 2].map((lead) => {
    const text = Buffer.concat([Buffer.alloc(lead), bytes]).toString("base64");
    return text.slice(Math.ceil((lead * 8) / 6), Math.floor(((lead + bytes.length) * 8) / 6));
  });
  return [whole, ...parts]
    .filter((form) => form.length >= 6)
    .flatMap((form) => [form, urlSafe(form)]);
}

function urlSafe(text: string): string {
  return text.replaceAll("+", "-").replaceAll("/", "_");
}

import type { Json } from "../lib/json.ts";
import { compilePattern } from "../lib/pattern.ts";
import { valueMistakes } from "../domain/parameter-rules.ts";
import type { Parameter } from "../domain/template.ts";
import type { ParameterFile } from "../contract/template.ts";
import { asJson } from "./context.ts";
import type { Path, Problems } from "./problem.ts";

/** Which rules belong to which types. */
const rulesOfTypes = {
  minimum: ["integer", "number"],
  maximum: ["integer", "number"],
  minLength: ["string"],
  maxLength: ["string"],
  pattern: ["string"],
  items: ["list", "map"],
  minItems: ["list", "map"],
  maxItems: ["list", "map"],
} as const satisfies Partial<Record<keyof ParameterFile, readonly Parameter["type"][]>>;

/** Checks the declaration of one parameter and gives it in its final form. */
export function compileParameter(problems: Problems, file: ParameterFile, path: Path): Parameter {
  const parameter = finalForm(file);
  const add = (key: keyof ParameterFile, message: string): void =>
    problems.add({ path: [...path, key] }, message);
  for (const [key, types] of Object.entries(rulesOfTypes)) {
    if (!Object.hasOwn(file, key) || types.some((type) => type === file.type)) continue;
    const message = `${key} belongs to parameters of type ${types.join(" or ")}, not ${file.type}: remove it`;
    problems.add({ path: [...path, key], key: true }, message);
  }
  checkOrder(file, add);
  if (file.pattern !== undefined) {
    const compiled = compilePattern(file.pattern);
    if ("message" in compiled) add("pattern", `the pattern cannot be used: ${compiled.message}`);
  }
  if (parameter.secret) checkSecret(file, add);
  else checkValues(parameter, { problems, path });
  return parameter;
}

type Add = (key: keyof ParameterFile, message: string) => void;

function checkOrder(file: ParameterFile, add: Add): void {
  for (const [low, high] of [
    ["minimum", "maximum"],
    ["minLength", "maxLength"],
    ["minItems", "maxItems"],
  ] as const) {
    const [least, most] = [file[low], file[high]];
    if (least !== undefined && most !== undefined && least > most) {
      add(high, `${high} ${most} is below ${low} ${least}: nothing would fit, correct one of them`);
    }
  }
}

function checkSecret(file: ParameterFile, add: Add): void {
  if (file.type !== "string")
    add("type", `a secret parameter must be of type string, not ${file.type}`);
  if (file.default !== undefined)
    add(
      "default",
      "a secret parameter has no default, as templates are no place for secrets: remove it",
    );
  if (file.enum !== undefined)
    add("enum", "a secret parameter has no enum, as templates are no place for secrets: remove it");
}

function checkValues(
  parameter: Parameter,
  at: { readonly problems: Problems; readonly path: Path },
): void {
  const { enum: allowed, ...withoutEnum } = parameter;
  for (const [index, value] of (allowed ?? []).entries()) {
    for (const mistake of valueMistakes(withoutEnum, value)) {
      at.problems.add(
        { path: [...at.path, "enum", index] },
        `value ${index + 1} of enum ${mistake}`,
      );
    }
  }
  if (parameter.default === undefined) return;
  const path = [...at.path, "default"];
  for (const mistake of valueMistakes(parameter, parameter.default))
    at.problems.add({ path }, `the default ${mistake}`);
  if (holdsExpression(parameter.default)) {
    at.problems.add({ path }, "expressions are not allowed in defaults: write the value out");
  }
}

function holdsExpression(value: Json): boolean {
  return JSON.stringify(value).includes("${{");
}

function finalForm(file: ParameterFile): Parameter {
  const { type, description, secret, immutable, default: fallback, enum: allowed, ...rules } = file;
  const present = Object.entries(rules).filter(([, value]) => value !== undefined);
  return {
    type,
    description: description ?? "",
    secret: secret ?? false,
    immutable: immutable ?? false,
    ...(fallback === undefined ? {} : { default: asJson(fallback) }),
    ...(allowed === undefined ? {} : { enum: allowed.map((value) => asJson(value)) }),
    ...Object.fromEntries(present),
  };
}

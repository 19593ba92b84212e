import {
  parseSecretSource,
  secretBits,
  secretDefaults,
  type SecretDeclaration,
} from "../domain/secret.ts";
import type { SecretFile } from "../contract/template-secret.ts";
import { durationOr } from "./checks.ts";
import { refuseExpression } from "./context.ts";
import type { Context } from "./context.ts";
import type { Path } from "./problem.ts";

/** A value is not made anew more often than this: every time, whatever uses it runs again. */
const shortestRotationMs = 3_600_000;
/** Fewer bits than these can be guessed by trying. */
const fewBits = 64;

/** Checks the declaration of one secret and gives it in its final form. */
export function compileSecret(context: Context, name: string, file: SecretFile): SecretDeclaration {
  const { problems, warnings } = context;
  const path: Path = ["secrets", name];
  refuseExpression(context, file.description, [...path, "description"]);
  const from = file.from === undefined ? null : parseSecretSource(file.from);
  const other = file.from === undefined ? "policy" : "from";
  for (const key of ["length", "charset", "policy"] as const) {
    if (file[key] === undefined || file[other] === undefined || key === other) continue;
    problems.add(
      { path: [...path, key], key: true },
      other === "from"
        ? `${key} belongs to a value that is made, and from names one that exists: remove one of them`
        : `${key} is said by the password policy: remove it`,
    );
  }
  const rotateMs = durationOr(file.rotate, null);
  if (rotateMs !== null && rotateMs < shortestRotationMs)
    problems.add({ path: [...path, "rotate"] }, "rotate must be at least 1h");
  const declaration: SecretDeclaration = {
    description: file.description ?? "",
    length: file.length ?? secretDefaults.length,
    charset: file.charset ?? secretDefaults.charset,
    ...(file.policy === undefined ? {} : { policy: file.policy }),
    ...(from === null ? {} : { from }),
    ...(rotateMs === null ? {} : { rotateMs }),
  };
  if (file[other] !== undefined) return declaration;
  const bits = secretBits(declaration);
  if (bits < fewBits) {
    warnings.add(
      { path, key: true },
      `the secret ${name} can be guessed: ${declaration.length} characters of ${declaration.charset} are ${bits} bits, make it longer`,
    );
  }
  return declaration;
}

import {
  certificateTimes,
  shortestUseMs,
  type CertificateDeclaration,
} from "../domain/certificate.ts";
import type { ExpressionRules } from "../domain/expression-check.ts";
import { nameKind } from "../domain/certificate-wish.ts";
import type { CertificateFile } from "../contract/template-certificate.ts";
import { durationOr } from "./checks.ts";
import { checkText, refuseExpression } from "./context.ts";
import type { Context } from "./context.ts";
import type { Path } from "./problem.ts";

/** Checks the declaration of one certificate and gives it in its final form, with the groups that its names need. */
export function compileCertificate(
  context: Context,
  name: string,
  file: CertificateFile,
): CertificateDeclaration {
  const { problems, template } = context;
  const path: Path = ["certificates", name];
  refuseExpression(context, file.description, [...path, "description"]);
  if (Object.hasOwn(template.secrets ?? {}, name))
    problems.add(
      { path, key: true },
      `${name} is a secret too, and \`env rotate\` knows both by their names: give the certificate another one`,
    );
  const altNames = file.altNames ?? [];
  const inputs = new Set(checkName(context, file.commonName, [...path, "commonName"]));
  for (const [index, text] of altNames.entries()) {
    const at = [...path, "altNames", index];
    for (const group of checkName(context, text, at)) inputs.add(group);
    if (!text.includes("${{") && nameKind(text) === null)
      problems.add({ path: at }, `${JSON.stringify(text)} is no host name, IP address or URI`);
  }
  return {
    description: file.description ?? "",
    role: file.role,
    commonName: file.commonName,
    altNames,
    ...compileTimes(context, file, path),
    inputs: [...inputs].sort((a, b) => (a < b ? -1 : 1)),
  };
}

const rules: ExpressionRules = {
  where: "a name of a certificate",
  secrets: false,
  kinds: ["parameter", "environment", "group", "requires"],
  expected: ["string"],
};

/** The groups whose outputs the text uses. */
function checkName(context: Context, text: string, path: Path): readonly string[] {
  const { references } = checkText(context, text, { path, rules });
  if (text.trim() === "")
    context.problems.add({ path }, `${String(path.at(-1))} is empty: write a name`);
  return references.filter(({ kind }) => kind === "group").map(({ name }) => name);
}

function compileTimes(
  { problems }: Context,
  file: CertificateFile,
  path: Path,
): Pick<CertificateDeclaration, "ttlMs" | "renewBeforeMs"> {
  const { ttlMs, renewBeforeMs } = certificateTimes({
    ttlMs: saidMs(file.ttl),
    renewBeforeMs: saidMs(file.renewBefore),
  });
  if (ttlMs - renewBeforeMs < shortestUseMs) {
    const member = file.renewBefore === undefined ? "ttl" : "renewBefore";
    problems.add(
      { path: file[member] === undefined ? path : [...path, member] },
      "renewBefore must leave at least 1h of ttl: shorten it, or lengthen ttl",
    );
  }
  return { ttlMs, renewBeforeMs };
}

function saidMs(text: string | undefined): number | undefined {
  return text === undefined ? undefined : durationOr(text, 0);
}

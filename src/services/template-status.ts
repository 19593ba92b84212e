import { GlasshouseError } from "../domain/errors.ts";
import { isId } from "../domain/id.ts";
import { templateMoves, type TemplateStatus } from "../domain/template.ts";
import { toJson } from "../lib/json.ts";
import type { Asked, Effect } from "./effect.ts";
import { findVersion, split } from "./template-choice.ts";
import { templateEvent } from "./template-register.ts";

interface StatusChange {
  readonly request: Asked<"template.activate">["request"];
  readonly data: Asked<"template.activate">["data"];
  readonly to: Extract<TemplateStatus, "active" | "deprecated">;
}

/**
 * Makes a version active, or ends its new use. Environments that are made of it stay as they are. Safe to repeat. Errors:
 * `not-found`, `conflict` for a draft that is deprecated.
 */
export async function prepareTemplateStatus({ request, data, to }: StatusChange): Promise<Effect> {
  const reference = referenceOf({ request, data, to });
  return async (tx) => {
    const template = await findVersion(tx, reference);
    const changed = { ...template, status: to };
    const done = { status: "completed", templateId: template.id, data: toJson(data) } as const;
    if (template.status === to) return { ...done, events: [] };
    if (!templateMoves[template.status].includes(to)) {
      throw new GlasshouseError(
        "conflict",
        `Template ${template.name}@${template.version} is ${template.status}, so it cannot become ${to}: activate it first, or replace its content by registering it anew.`,
      );
    }
    await tx.templates.setStatus(template.id, to);
    const type = to === "active" ? "template.activated" : "template.deprecated";
    return { ...done, events: [templateEvent(type, changed)] };
  };
}

/** One version must be named: a bare name would mean another one tomorrow. */
function referenceOf({ request, data }: StatusChange): string {
  const subject = request.subject ?? "";
  const [name, version = data.version] = split(subject);
  if (isId("template", subject)) return subject;
  if (name !== "" && version !== undefined && version !== "") return `${name}@${version}`;
  throw new GlasshouseError(
    "invalid-request",
    `${request.type} needs one version of a template: name@version or its id.`,
    { details: [{ message: "The version is missing.", pointer: "/version" }] },
  );
}

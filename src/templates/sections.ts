import valid from "semver/functions/valid.js";
import type { Json } from "../lib/json.ts";
import { runsOnMember } from "../domain/label.ts";
import type { ReferenceKind } from "../domain/expression-syntax.ts";
import { groupDefaults } from "../domain/template.ts";
import type { Action, Entrypoint, Lifetime, Requirement } from "../domain/template.ts";
import type { ActionFile, RequirementFile } from "../contract/template.ts";
import { checkUrl, compileCheck, compileCommand, durationOr } from "./checks.ts";
import {
  asJson,
  checkText,
  checkTree,
  compileRunsOn,
  refuseExpression,
  refuseRepeats,
} from "./context.ts";
import type { Context } from "./context.ts";
import type { Path } from "./problem.ts";

/** Name, version and the sections that are known and come later. */
export function checkHead(context: Context): void {
  const { template, problems } = context;
  if (valid(template.version) !== template.version) {
    problems.add(
      { path: ["version"] },
      `version must be a semantic version such as "1.2.0", not ${JSON.stringify(template.version)}`,
    );
  }
  refuseExpression(context, template.description, ["description"]);
  for (const [tag, value] of Object.entries(template.tags ?? {}))
    refuseExpression(context, value, ["tags", tag]);
  if (template.permissions !== undefined)
    problems.add(
      { path: ["permissions"], key: true },
      "permissions is not available in this version: remove it",
    );
}

const outsideKinds: readonly ReferenceKind[] = ["parameter", "environment"];

export function compileRequirement(
  context: Context,
  name: string,
  file: RequirementFile,
): Requirement {
  const path: Path = ["requires", name];
  refuseExpression(context, file.description, [...path, "description"]);
  if (file.template !== undefined) {
    context.problems.add(
      { path: [...path, "template"], key: true },
      "requiring another template is not available in this version: require an environment, or describe an external resource",
    );
  }
  return file.environment === undefined
    ? externalRequirement(context, file, path)
    : environmentRequirement(context, { ...file, environment: file.environment }, path);
}

function environmentRequirement(
  context: Context,
  file: RequirementFile & { readonly environment: string },
  path: Path,
): Requirement {
  const at = [...path, "environment"];
  const outputs = file.outputs ?? [];
  const rules = {
    where: "the environment's name",
    secrets: false,
    kinds: outsideKinds,
    expected: ["string"],
  } as const;
  checkText(context, file.environment, { path: at, rules });
  if (file.environment.trim() === "")
    context.problems.add(
      { path: at },
      "environment is empty: name the environment that is required",
    );
  if (outputs.length === 0) {
    context.problems.add(
      { path, key: true },
      "outputs is missing: list the outputs of the environment that are used, as in [network_id]",
    );
  }
  refuseRepeats(context, outputs, [...path, "outputs"]);
  if (file.check !== undefined) {
    context.problems.add(
      { path: [...path, "check"], key: true },
      "check belongs to external requirements: remove it, an environment is checked by its status",
    );
  }
  return {
    kind: "environment",
    environment: file.environment,
    outputs: [...outputs],
    description: file.description ?? "",
  };
}

function externalRequirement(context: Context, file: RequirementFile, path: Path): Requirement {
  if (file.outputs !== undefined && file.template === undefined) {
    context.problems.add(
      { path: [...path, "outputs"], key: true },
      "outputs belongs to required environments: add environment, or remove outputs",
    );
  }
  if (file.description === undefined && file.template === undefined) {
    context.problems.add(
      { path, key: true },
      "the requirement says neither environment nor description: name the environment, or describe the external resource",
    );
  }
  const check =
    file.check === undefined
      ? {}
      : {
          check: compileCheck(context, file.check, {
            path: [...path, "check"],
            kinds: outsideKinds,
          }).check,
        };
  return { kind: "external", description: file.description ?? "", ...check };
}

export function compileEntrypoint(
  context: Context,
  name: string,
  file: { readonly url: string; readonly description?: string | undefined },
): Entrypoint {
  const path: Path = ["entrypoints", name];
  refuseExpression(context, file.description, [...path, "description"]);
  const kinds: readonly ReferenceKind[] = ["parameter", "environment", "group", "requires"];
  const rules = {
    where: "an entrypoint's URL",
    secrets: false,
    kinds,
    expected: ["string"],
  } as const;
  checkUrl(context, file.url, [...path, "url"]);
  checkText(context, file.url, { path: [...path, "url"], rules });
  return { url: file.url, description: file.description ?? "" };
}

export function compileOutput(context: Context, name: string, value: unknown): Json {
  const json = asJson(value);
  checkTree(context, json, {
    path: ["outputs", name],
    rules: { where: "an output", secrets: true },
  });
  return json;
}

export function compileAction(context: Context, name: string, file: ActionFile): Action {
  const path: Path = ["actions", name];
  refuseExpression(context, file.description, [...path, "description"]);
  if (file.app.url !== undefined) {
    context.problems.add(
      { path: [...path, "app", "url"], key: true },
      "apps fetched from a URL are not available in this version: put the program into the template's folder",
    );
  }
  if (file.permissions !== undefined) {
    context.problems.add(
      { path: [...path, "permissions"], key: true },
      "permissions is not available in this version: remove it",
    );
  }
  if (file.app.url === undefined) {
    compileCommand(context, file.app.command, {
      path: [...path, "app", "command"],
      where: "an argument of a process",
    });
  }
  const timeoutMs = durationOr(file.timeout, groupDefaults.commandTimeoutMs);
  if (timeoutMs <= 0)
    context.problems.add({ path: [...path, "timeout"] }, "timeout must be longer than 0s");
  return {
    description: file.description ?? "",
    app: { name: file.app.name, command: file.app.command },
    timeoutMs,
    ...runsOnMember(compileRunsOn(context, file.runsOn, path)),
  };
}

export function compileLifetime(context: Context): Lifetime {
  const file = context.template.lifetime;
  if (file === undefined) return {};
  const defaultMs = durationOr(file.default, null);
  const maximumMs = durationOr(file.maximum, null);
  if (defaultMs !== null && maximumMs !== null && defaultMs > maximumMs) {
    context.problems.add(
      { path: ["lifetime", "default"] },
      `the default ${file.default} is longer than the maximum ${file.maximum}: shorten it, or raise the maximum`,
    );
  }
  for (const [key, ms] of [
    ["default", defaultMs],
    ["maximum", maximumMs],
  ] as const) {
    if (ms === 0)
      context.problems.add({ path: ["lifetime", key] }, `${key} must be longer than 0s`);
  }
  return {
    ...(defaultMs === null ? {} : { defaultMs }),
    ...(maximumMs === null ? {} : { maximumMs }),
  };
}

import type { ParsedCommand } from "../contract/commands.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { Services } from "./deps.ts";
import type { CommandRequest, Effect } from "./effect.ts";
import { prepareAction, prepareRefresh, prepareValidate } from "./environment-act.ts";
import { prepareApply } from "./environment-apply.ts";
import { prepareCreate } from "./environment-create.ts";
import { prepareDestroy } from "./environment-destroy.ts";
import { preparePlan } from "./environment-plan.ts";
import { prepareRotate } from "./environment-rotate.ts";
import { prepareUpdate } from "./environment-update.ts";
import { prepareApprove, prepareCancel } from "./run-cancel.ts";
import { prepareRetry } from "./run-retry.ts";
import { prepareRegister } from "./template-register.ts";
import { prepareTemplateStatus } from "./template-status.ts";

/** Does the slow and repeatable part of a command, and gives what is left for its transaction. */
export async function prepare(
  deps: Services,
  of: {
    readonly request: CommandRequest;
    readonly parsed: ParsedCommand;
    readonly commandId: string;
  },
): Promise<Effect> {
  const { request, parsed, commandId } = of;
  switch (parsed.type) {
    case "template.register":
      return prepareRegister(deps, { request, data: parsed.data, commandId });
    case "template.activate":
    case "template.deprecate":
      return prepareTemplateStatus({ request, data: parsed.data, to: statusOf[parsed.type] });
    case "environment.create":
      return prepareCreate(deps, { request, data: parsed.data, commandId });
    case "environment.update":
      return prepareUpdate(deps, { request, data: parsed.data, commandId });
    case "environment.destroy":
      return prepareDestroy(deps, { request, data: parsed.data, commandId });
    case "environment.rotate":
      return prepareRotate(deps, { request, data: parsed.data, commandId });
    case "environment.validate":
      return prepareValidate(deps, { request, data: parsed.data, commandId });
    case "environment.refresh":
      return prepareRefresh(deps, { request, data: parsed.data, commandId });
    case "environment.action":
      return prepareAction(deps, { request, data: parsed.data, commandId });
    case "environment.plan":
      return preparePlan(deps, { request, data: parsed.data, commandId });
    case "environment.apply":
      return prepareApply(deps, { request, data: parsed.data, commandId });
    case "run.cancel":
      return prepareCancel({ request, data: parsed.data, commandId });
    case "run.retry":
      return prepareRetry(deps, { request, data: parsed.data, commandId });
    case "run.approve":
      return prepareApprove({ request, data: parsed.data, commandId });
    case "environment.repair":
    case "environment.extend":
    case "environment.protect":
    case "environment.import":
    case "environment.forget":
      throw new GlasshouseError(
        "not-available",
        `${parsed.type} is not available in this version.`,
      );
  }
}

const statusOf = { "template.activate": "active", "template.deprecate": "deprecated" } as const;

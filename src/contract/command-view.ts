import type { Command } from "../domain/command.ts";
import type { CommandView } from "./rest.ts";

/** A command as answers and replies show it: without its body. */
export function commandOf(command: Command): CommandView {
  return {
    id: command.id,
    source: command.source,
    sourceId: command.sourceId,
    type: command.type,
    subject: command.subject,
    status: command.status,
    environment: command.environmentId,
    template: command.templateId,
    run: command.runId,
    plan: command.planId,
    error: command.failure,
    actor: command.actor,
    sender: command.sender,
    correlationId: command.correlationId,
    createdAt: command.createdAt,
    finishedAt: command.finishedAt,
  };
}

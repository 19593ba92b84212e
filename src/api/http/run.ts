import type { Step } from "../../domain/step.ts";
import type { RunView, StepView } from "../../contract/rest.ts";
import type { Api, Call, Handlers } from "./api.ts";
import { ask } from "./command.ts";
import { pageOf, pageRequest } from "./page.ts";
import type { RunRead } from "../../services/run.ts";
import { stepLogHandler } from "./step-log.ts";

type Ids =
  | "getRun"
  | "listRunSteps"
  | "cancelRun"
  | "retryRun"
  | "approveRun"
  | "getStep"
  | "getStepLog";

export function runHandlers(api: Api): Pick<Handlers, Ids> {
  const { services } = api;
  return {
    getRun: async ({ params }) => runOf(await services.getRun(params.run)),
    listRunSteps: async ({ params, query }) =>
      pageOf(await services.listSteps(params.run, pageRequest(query)), stepOf),
    cancelRun: async (call) => askOf(api, call, { type: "run.cancel", data: {} }),
    retryRun: async (call) => askOf(api, call, { type: "run.retry", data: call.body }),
    approveRun: async (call) => askOf(api, call, { type: "run.approve", data: {} }),
    getStep: async ({ params }) => stepOf(await services.getStep(params.step)),
    getStepLog: stepLogHandler(api),
  };
}

async function askOf(
  api: Api,
  call: Call<"cancelRun"> | Call<"retryRun"> | Call<"approveRun">,
  asking: { readonly type: string; readonly data: object },
): ReturnType<typeof ask> {
  return ask(api, call, { ...asking, subject: call.params.run });
}

export function runOf({ run, environmentName, position }: RunRead): RunView {
  return {
    id: run.id,
    environment: run.environmentId,
    environmentName,
    kind: run.kind,
    status: run.status,
    stage: run.stage,
    reason: run.reason,
    blocker: run.blocker,
    failure: run.failure,
    position,
    templates: run.desired.templates.map(({ templateId, name, version }) => ({
      id: templateId,
      name,
      version,
    })),
    generation: run.generation,
    plan: run.planId,
    action: run.action,
    attempt: run.attempt,
    progress: run.progress,
    cancelRequestedAt: run.cancelRequestedAt,
    createdAt: run.createdAt,
    startedAt: run.startedAt,
    finishedAt: run.finishedAt,
  };
}

function stepOf(step: Step): StepView {
  return {
    id: step.id,
    run: step.runId,
    environment: step.environmentId,
    key: step.key,
    phase: step.phase,
    template: step.template,
    group: step.group,
    executor: step.executor,
    status: step.status,
    reason: step.reason,
    failure: step.failure,
    mark: step.mark,
    waitingOn: step.waitingOn,
    attempts: step.attempts,
    runsOn: step.runsOn,
    changes: step.changes,
    availableAt: step.availableAt,
    createdAt: step.createdAt,
    startedAt: step.startedAt,
    finishedAt: step.finishedAt,
  };
}

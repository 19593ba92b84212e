import { z } from "zod";
import { commandData } from "./command-data.ts";
import { acceptedReply } from "./rest-command.ts";
import {
  apiRoot,
  commandHeaders,
  emptyBody,
  flag,
  mediaTypes,
  pageQuery,
  readHeaders,
  segment,
  type Route,
} from "./rest-route.ts";
import {
  changeView,
  environmentId,
  failureView,
  listOf,
  planId,
  runId,
  runsOnView,
  stepId,
  templateUse,
  time,
} from "./schemas.ts";

export const runView = z
  .object({
    id: runId,
    environment: environmentId,
    environmentName: z.string(),
    kind: z.enum(["create", "update", "destroy", "validate", "refresh", "action", "plan"]),
    status: z.enum([
      "queued",
      "running",
      "waiting",
      "succeeded",
      "failed",
      "cancelled",
      "superseded",
    ]),
    stage: z.enum(["steps", "checks", "ended"]),
    reason: z.string().nullable().meta({ description: "What it waits for, or why it ended" }),
    blocker: z
      .object({ kind: z.string().meta({ examples: ["queue"] }), on: z.array(z.string()) })
      .nullable()
      .meta({ description: "What it waits for, for programs" }),
    failure: failureView.nullable(),
    position: z
      .int()
      .nullable()
      .meta({ description: "Runs of the environment that go first; null when it is not queued" }),
    templates: z.array(templateUse),
    generation: z.int(),
    plan: planId.nullable().meta({ description: "The saved plan that it makes or applies" }),
    action: z.string().nullable(),
    attempt: z.int(),
    progress: z.object({ done: z.int(), total: z.int(), failed: z.int(), skipped: z.int() }),
    cancelRequestedAt: time.nullable(),
    createdAt: time,
    startedAt: time.nullable(),
    finishedAt: time.nullable(),
  })
  .meta({ id: "Run", description: "One execution of a plan" });

export const stepStatus = z.enum([
  "blocked",
  "ready",
  "running",
  "waiting",
  "succeeded",
  "failed",
  "skipped",
  "cancelled",
  "unknown",
]);

export const stepView = z
  .object({
    id: stepId,
    run: runId,
    environment: environmentId,
    key: z.string().meta({ description: "Unique within the run" }),
    phase: z.enum([
      "apply",
      "destroy",
      "observe",
      "plan",
      "check",
      "action",
      "barrier",
      "secret",
      "certificate",
    ]),
    template: z.string(),
    group: z.string().nullable(),
    executor: z.string().nullable(),
    status: stepStatus,
    reason: z.string().nullable(),
    failure: failureView.nullable(),
    mark: z.enum(["exact", "deferred", "unchanged", "destroy"]),
    waitingOn: z.int().meta({ description: "Steps that must end first" }),
    attempts: z.int(),
    runsOn: runsOnView,
    changes: z.array(changeView),
    availableAt: time.nullable().meta({ description: "It is not tried before this time" }),
    createdAt: time,
    startedAt: time.nullable(),
    finishedAt: time.nullable(),
  })
  .meta({ id: "Step", description: "One node of a run" });

export const logLineView = z
  .object({
    number: z.int().meta({ description: "From 1, over all attempts" }),
    attempt: z.int().meta({ description: "The claim it belongs to" }),
    time,
    text: z.string(),
  })
  .meta({ id: "LogLine" });

export const retryBody = commandData["run.retry"].meta({ id: "RetryRun" });

export const logQuery = z.strictObject({
  after: z.coerce.number().int().min(0).default(0).meta({ description: "Lines after this number" }),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(1_000)
    .meta({ description: "The most lines of one answer; following has no such end" }),
  follow: flag.meta({ description: "Stay until the step has ended" }),
});

const runParams = z.object({ run: segment("Id of the run") });
const stepParams = z.object({ step: segment("Id of the step") });
const run = `${apiRoot}/runs/{run}`;
const asking = {
  method: "POST",
  tag: "runs",
  params: runParams,
  headers: commandHeaders,
  body: { schema: emptyBody, optional: true },
  replies: { 202: acceptedReply },
  errors: ["not-found", "conflict"],
} as const;

export const runRoutes = [
  {
    id: "getRun",
    method: "GET",
    path: run,
    tag: "runs",
    summary: "Read a run",
    params: runParams,
    headers: readHeaders,
    replies: { 200: { description: "The run", schema: runView } },
    errors: ["not-found"],
  },
  {
    id: "listRunSteps",
    method: "GET",
    path: `${run}/steps`,
    tag: "runs",
    summary: "List its steps",
    params: runParams,
    query: pageQuery,
    headers: readHeaders,
    replies: { 200: { description: "A page", schema: listOf(stepView) } },
    errors: ["not-found"],
  },
  { ...asking, id: "cancelRun", path: `${run}/cancel`, summary: "Cancel; a second time, kill" },
  {
    ...asking,
    id: "retryRun",
    path: `${run}/retry`,
    summary: "Try what failed or waits once more",
    body: { schema: retryBody, optional: true },
  },
  { ...asking, id: "approveRun", path: `${run}/approve`, summary: "Let it go on" },
  {
    id: "getStep",
    method: "GET",
    path: `${apiRoot}/steps/{step}`,
    tag: "runs",
    summary: "Read a step",
    params: stepParams,
    headers: readHeaders,
    replies: { 200: { description: "The step", schema: stepView } },
    errors: ["not-found"],
  },
  {
    id: "getStepLog",
    method: "GET",
    path: `${apiRoot}/steps/{step}/log`,
    tag: "runs",
    summary: "Read its log, also live",
    description:
      "`application/jsonl` (one LogLine a line) with that `Accept`, else the lines' text alone. `after` is the last number you have.",
    params: stepParams,
    query: logQuery,
    replies: {
      200: {
        description: "Lines, oldest first",
        schema: z.string(),
        types: [mediaTypes.text, mediaTypes.lines],
      },
    },
    errors: ["not-found"],
  },
] as const satisfies readonly Route[];

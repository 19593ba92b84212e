import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EventView, RunView, StepView } from "../contract/rest.ts";
import { newProgress } from "./progress.ts";
import { isEnded, needsSomebody, plainReason, RunModel, waysOn } from "./run-model.ts";
import { fakeTerminal, screenOf } from "./terminal.fixture.ts";

const time = "2026-01-01T00:00:00.000Z";
const nowMs = Date.parse(time) + 4_200;

const run: RunView = {
  id: "run_1",
  environment: "env_1",
  environmentName: "shop",
  kind: "create",
  status: "running",
  stage: "steps",
  reason: null,
  blocker: null,
  failure: null,
  position: null,
  templates: [],
  generation: 1,
  plan: null,
  action: null,
  attempt: 1,
  progress: { done: 0, total: 3, failed: 0, skipped: 0 },
  cancelRequestedAt: null,
  createdAt: time,
  startedAt: time,
  finishedAt: null,
};

function stepOf(group: string): StepView {
  return {
    id: `stp_${group}`,
    run: "run_1",
    environment: "env_1",
    key: `apply:shop/${group}`,
    phase: "apply",
    template: "shop",
    group,
    executor: "command",
    status: "blocked",
    reason: null,
    failure: null,
    mark: "exact",
    waitingOn: 0,
    attempts: 1,
    runsOn: [],
    changes: [],
    availableAt: null,
    createdAt: time,
    startedAt: time,
    finishedAt: null,
  };
}

function stepEvent(group: string, status: string, more: Record<string, unknown> = {}): EventView {
  return {
    specversion: "1.0",
    id: "evt_1",
    source: "/",
    type: `step.${status === "running" ? "started" : status}`,
    subject: "environments/shop",
    time,
    datacontenttype: "application/json",
    position: 1,
    sequence: 1,
    data: {
      id: `stp_${group}`,
      key: `apply:shop/${group}`,
      phase: "apply",
      group,
      reason: null,
      attempts: 1,
      status,
      startedAt: time,
      finishedAt: status === "running" ? null : "2026-01-01T00:00:01.500Z",
      ...JSON.parse(JSON.stringify(more)),
    },
  };
}

function show(interactive: boolean, events: readonly EventView[], columns = 80) {
  const terminal = fakeTerminal({ interactive, columns, env: { NO_COLOR: "1" } });
  const model = new RunModel(run, []);
  const progress = newProgress(terminal, model, { title: "create shop", nowMs: () => nowMs });
  for (const event of events) progress.changed(model.apply(event));
  const during = screenOf(terminal.errors());
  progress.say("and a word");
  progress.end();
  return { terminal, model, during, after: screenOf(terminal.errors()) };
}

const events = [
  stepEvent("network", "running"),
  stepEvent("catalog", "running"),
  stepEvent("network", "succeeded", { progress: { done: 1, total: 3, failed: 0, skipped: 0 } }),
  stepEvent("catalog", "failed", { failure: { code: "step-failed", message: "exit 1\u001B[2J" } }),
  stepEvent("web", "running", { attempts: 2 }),
];

/** What the server tells of a step that has to wait for something that is away. */
const away: EventView = {
  ...stepEvent("beds", "ready", {
    attempts: 0,
    finishedAt: null,
    failure: { code: "unavailable", message: "no such host:\nregistry.example.com\n" },
  }),
  type: "step.retrying",
};

describe("progress on a terminal", () => {
  test("keeps a line for each step that ended and moves those that run below them", () => {
    const { during } = show(true, events);
    assert.deepEqual(during, [
      "✔ network   1.5s",
      "✖ catalog   1.5s   exit 1\\u001b[2J",
      "⠋ web       4.2s   attempt 2",
      "create shop  running  1/3",
    ]);
  });

  test("says why a step waits for its next attempt, also where that is not counted", () => {
    const { during } = show(true, [stepEvent("beds", "running"), away]);
    assert.deepEqual(during, [
      "⠋ beds      4.2s   is tried again: no such host: registry.example.com",
      "create shop  running  0/3",
    ]);
  });

  test("takes the moving lines away at the end", () => {
    const { after } = show(true, events);
    assert.deepEqual(after, [
      "✔ network   1.5s",
      "✖ catalog   1.5s   exit 1\\u001b[2J",
      "and a word",
    ]);
  });

  test("never writes a line wider than the terminal", () => {
    const long = stepEvent("catalog", "failed", {
      failure: { code: "x", message: "m".repeat(500) },
    });
    const { during } = show(true, [stepEvent("a", "running"), long], 40);
    for (const line of during) assert.ok(line.length < 40, line);
  });

  test("shows a dozen running steps and the number of the others", () => {
    const many = Array.from({ length: 30 }, (_, at) => stepEvent(`g${at}`, "running"));
    const { during } = show(true, many);
    assert.equal(during.length, 14);
    assert.match(during.join("\n"), /and 18 more/u);
  });
});

describe("progress elsewhere", () => {
  test("is a line a start and an end, without moves", () => {
    const { terminal } = show(false, events);
    assert.deepEqual(terminal.errors().split("\n"), [
      "network started",
      "catalog started",
      "network succeeded after 1.5s",
      "catalog failed after 1.5s: exit 1\\u001b[2J",
      "web started (attempt 2)",
      "and a word",
      "",
    ]);
  });
});

describe("progress of a step that waits for something that is away", () => {
  test("says why between two starts", () => {
    const started = stepEvent("beds", "running");
    const { terminal } = show(false, [started, away, started]);
    assert.deepEqual(terminal.errors().split("\n").slice(0, 3), [
      "beds started",
      "beds is tried again: no such host: registry.example.com",
      "beds started",
    ]);
  });
});

describe("the model of a run", () => {
  test("follows the run's own events and leaves barriers out", () => {
    const model = new RunModel(run, []);
    const barrier = stepEvent("x", "succeeded", { phase: "barrier", group: null });
    assert.deepEqual(model.apply(barrier), []);
    const { id: _id, ...data } = { ...run, status: "failed", failure: { message: "no" } };
    const ended: EventView = {
      ...stepEvent("x", "running"),
      type: "run.failed",
      data: JSON.parse(JSON.stringify(data)),
    };
    model.apply(ended);
    assert.equal(isEnded(model.run), true);
    assert.equal(model.run.failure, "no");
  });

  test("of a run that is tried again leaves out what had ended and counts from then on", () => {
    const since = "2026-01-01T01:00:00.000Z";
    const ended = { ...stepOf("beds"), status: "succeeded", finishedAt: time } as const;
    const skipped = { ...stepOf("sign"), status: "skipped", finishedAt: time } as const;
    const retried = { ...stepOf("water"), status: "ready" } as const;
    const going = { ...stepOf("fence"), status: "running" } as const;
    const model = new RunModel(run, [ended, skipped, retried, going], since);
    const [old] = [...model.steps.values()];
    assert.ok(old !== undefined && model.isOld(old));
    assert.equal(model.oldSkipped, 1);
    assert.equal(model.steps.get("stp_fence")?.startedAt, since);
    const later = "2026-01-01T01:00:02.000Z";
    const [started] = model.apply({ ...stepEvent("water", "running"), time: later });
    assert.equal(started?.startedAt, later);
    const finishedAt = "2026-01-01T01:00:05.000Z";
    const [done] = model.apply(stepEvent("water", "succeeded", { finishedAt }));
    assert.equal(done?.startedAt, later);
    assert.equal(model.isOld(done), false);
  });

  test("keeps all that a first attempt did", () => {
    const model = new RunModel(run, [{ ...stepOf("beds"), status: "skipped", finishedAt: time }]);
    assert.equal(model.oldSkipped, 0);
    assert.equal(model.steps.get("stp_beds")?.startedAt, time);
  });

  test("knows when only a person can help", () => {
    const waiting = { status: "waiting", blocker: { kind: "suspected-leak", on: [] } } as const;
    assert.equal(needsSomebody(waiting), true);
    assert.equal(needsSomebody({ ...waiting, blocker: { kind: "queue", on: [] } }), false);
    assert.equal(needsSomebody({ ...waiting, status: "running" }), false);
  });

  test("ignores events that it does not understand", () => {
    const model = new RunModel(run, []);
    assert.deepEqual(model.apply({ ...stepEvent("a", "running"), data: "?" }), []);
    assert.deepEqual(model.apply(stepEvent("a", "flying")), []);
  });
});

describe("a reason of the server", () => {
  test("names the group in place of its step's key, at its beginning only", () => {
    assert.equal(plainReason("apply:lab/show: cut off"), "group show: cut off");
    assert.equal(plainReason("destroy:my-lab/show"), "group show");
    assert.equal(plainReason("apply:lab/show failed and aborts"), "group show failed and aborts");
    assert.equal(plainReason("action:lab/water: cut off"), "action water: cut off");
    assert.equal(plainReason("see apply:lab/show"), "see apply:lab/show");
    assert.equal(plainReason("apply:lab/show.sh: no"), "apply:lab/show.sh: no");
  });

  test("is one line", () => {
    assert.equal(plainReason("init failed: no such\n  host\r\n"), "init failed: no such host");
  });

  test("comes with what can be done, which is to approve where that is asked for", () => {
    assert.match(
      waysOn({ id: "run_1", blocker: { kind: "suspected-leak", on: [] } }),
      /run retry run_1/u,
    );
    assert.match(
      waysOn({ id: "run_1", blocker: { kind: "approval", on: [] } }),
      /run approve run_1/u,
    );
  });
});

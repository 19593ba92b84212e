import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GlasshouseError } from "../domain/errors.ts";
import { checkTemplate } from "./compile.ts";
import type { ExecutorShape } from "./compile.ts";
import { compileInThread, threadThreshold } from "./compile-thread.ts";
import type { ThreadInput } from "./compile-thread.ts";
import { fileLookup } from "./paths.ts";

const executors: readonly ExecutorShape[] = [
  {
    name: "command",
    settings: {
      type: "object",
      fields: { create: { type: "list", items: { type: "scalar", argument: true } } },
    },
  },
];
const files = ["up", "lib/a.txt"];

function template(groups: number, program = "./up"): string {
  const lines = Array.from({ length: groups }, (_, n) => {
    const before = n === 0 ? "" : `, "\${{ groups.g${n - 1}.outputs.out }}"`;
    return `  g${n}:\n    executor: command\n    with: { create: [${program}${before}] }\n    outputs: [out]\n`;
  });
  return `apiVersion: glasshouse/v1\nkind: Template\nname: big\nversion: 1.0.0\ndescription: d\ngroups:\n${lines.join("")}`;
}

function inputOf(text: string, shapes = executors): ThreadInput {
  return { file: "template.yaml", text, files, executors: shapes };
}

const calm = { signal: new AbortController().signal, timeoutMs: 60_000 };

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof GlasshouseError && error.code === code;
}

describe("checking a template in a thread", () => {
  test("it gives what checking it here gives, for good templates and bad ones, small and large", async () => {
    for (const text of [
      template(2),
      template(2, "./gone"),
      template(800),
      template(800, "./gone"),
    ]) {
      const here = checkTemplate({
        file: "template.yaml",
        text,
        hasFile: fileLookup(files),
        executors,
      });
      assert.deepEqual(await compileInThread(inputOf(text), calm), here);
    }
    assert.ok(template(800).length > threadThreshold);
  });

  test("the event loop stays free meanwhile", async () => {
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 5);
    await compileInThread(inputOf(template(1_200)), calm);
    clearInterval(timer);
    assert.ok(ticks >= 5, `only ${ticks} ticks`);
  });

  test("executors' own checks are made on the result, with places", async () => {
    const strict = executors.map((one) => ({
      ...one,
      validate: () => [{ message: "no", pointer: "/create/0" }],
    }));
    const result = await compileInThread(inputOf(template(800), strict), calm);
    assert.ok("problems" in result);
    const [first] = result.problems;
    assert.deepEqual([first?.line, first?.column, first?.message], [9, 22, "no"]);
  });

  test("it ends when it takes too long and when it is cancelled, also while it waits its turn", async () => {
    const text = template(1_200);
    await assert.rejects(
      compileInThread(inputOf(text), { ...calm, timeoutMs: 20 }),
      hasCode("timeout"),
    );
    const stop = new AbortController();
    const first = compileInThread(inputOf(text), calm);
    const second = compileInThread(inputOf(text), { signal: stop.signal, timeoutMs: 60_000 });
    stop.abort();
    await assert.rejects(second, hasCode("cancelled"));
    assert.ok("body" in (await first));
    assert.ok("body" in (await compileInThread(inputOf(text), calm)));
  });
});

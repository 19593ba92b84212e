import { setTimeout as pause } from "node:timers/promises";
import { Site } from "../test/support/site.ts";
import type { Row } from "./measure.ts";

const groups = 10_000;
const layerWidth = 100;

/** A template of the largest size: checked and planned while the server goes on answering. */
export async function largeTemplate(): Promise<readonly Row[]> {
  const site = await Site.open();
  try {
    const archive = await site.archive({ name: "large", groups: manyGroups() });
    const watch = watchLiveness(site.server.url);
    const begun = performance.now();
    await site.ask("POST", "/templates", { body: archive });
    const lintMs = performance.now() - begun;
    const command = await site.command("environment.plan", "large", { template: "large" });
    await site.settled(command, 120_000);
    const tookMs = performance.now() - begun;
    const slowestMs = await watch.end();
    return [
      {
        name: `template of 10,000 groups: check (${(lintMs / 1_000).toFixed(1)} s) + plan`,
        value: tookMs / 1_000,
        unit: "s",
        target: "< 5",
        ok: tookMs < 5_000,
      },
      {
        name: "slowest /livez meanwhile",
        value: slowestMs,
        unit: "ms",
        target: "< 200",
        ok: slowestMs < 200,
      },
    ];
  } finally {
    await site.close();
  }
}

function manyGroups(): Readonly<Record<string, object>> {
  return Object.fromEntries(
    Array.from({ length: groups }, (_, index) => {
      const dependsOn = index < layerWidth ? {} : { dependsOn: [`g${index - layerWidth}`] };
      return [`g${index}`, { value: `${index}`, ...dependsOn }] as const;
    }),
  );
}

/** Asks every 20 ms; the slowest answer counts. */
function watchLiveness(url: string): { readonly end: () => Promise<number> } {
  const over = new AbortController();
  let slowestMs = 0;
  const watching = (async () => {
    while (!over.signal.aborted) {
      const begun = performance.now();
      await (await fetch(`${url}/livez`)).text();
      slowestMs = Math.max(slowestMs, performance.now() - begun);
      await pause(20);
    }
  })();
  return {
    end: async () => {
      over.abort();
      await watching;
      return slowestMs;
    },
  };
}

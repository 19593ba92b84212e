import { faultTest, nothingFound } from "../support/chaos.ts";
import { experiments } from "../support/experiments.ts";

faultTest(
  {
    id: "F47",
    fault: "each mechanism of a promise is switched off once",
    mechanism: "its test goes red without it",
    trials: { short: experiments.length, long: experiments.length },
  },
  async () => {
    const broken: string[] = [];
    for (const { promise, mechanism, run } of experiments) {
      const withIt = await run(true);
      if (withIt !== null) broken.push(`${promise}: broken with ${mechanism}: ${withIt}`);
      if ((await run(false)) === null) broken.push(`${promise}: kept without ${mechanism}`);
    }
    return {
      findings: { ...nothingFound, broken },
      trials: experiments.length,
      words: `${experiments.length} of ${experiments.length} red`,
    };
  },
);

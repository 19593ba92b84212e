import { failpoints, type Failpoint } from "../../src/engine/deps.ts";
import { faultTest, nothingFound, type Trials, type Tried } from "../support/chaos.ts";
import { sharedPostgres } from "../support/chaos-postgres.ts";
import { knownThings } from "../support/cloud.ts";
import { crashAndGoOn } from "../support/crash.ts";
import { terraformSkip, terraformTemplate } from "../support/crash-terraform.ts";
import { postgresSkip } from "../support/postgres.ts";

const acts = ["kill", "throw", "stall"] as const;
const cases = failpoints.flatMap((name) => acts.map((act) => ({ name, act })));
const possible = cases.filter(({ name }) => terraformSkip === false || !isOfState(name));
const resources = 20;
/** Cases that are under way at once. */
const atOnce = 3;

for (const store of ["SQLite", "PostgreSQL"] as const)
  faultTest(
    {
      id: "F1",
      fault: `a replica on ${store} is killed, throws or stalls at each named boundary`,
      mechanism: "intent, effect, record; recovery by looking",
      trials: { short: possible.length, long: possible.length },
      skip: store === "PostgreSQL" && postgresSkip,
    },
    (of) => throughAll(of, store),
  );

async function throughAll({ keep }: Trials, store: "SQLite" | "PostgreSQL"): Promise<Tried> {
  const words: string[] = [];
  const broken: string[] = [];
  keep("cases", () => words.join("\n"));
  const left = [...possible];
  const work = async (): Promise<void> => {
    for (;;) {
      const next = left.shift();
      if (next === undefined) return;
      const crashAt = `${next.name}:${next.act}:${next.name.startsWith("step.") ? 2 : 1}`;
      const outcome = await crashAndGoOn({ groups: 6, width: 2 }, crashAt, {
        ...(store === "PostgreSQL" ? { storeUrl: await newDatabase() } : {}),
        ...(isOfState(next.name) ? await ofState() : {}),
      });
      words.push(`${crashAt}: ${outcome.words}`);
      if (!outcome.happened) broken.push(`${crashAt} was never reached`);
      broken.push(...outcome.complaints.map((complaint) => `${crashAt}: ${complaint}`));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return { findings: { ...nothingFound, broken }, trials: words.length };
}

function isOfState(name: Failpoint): boolean {
  return name.startsWith("state.");
}

async function newDatabase(): Promise<string> {
  const postgres = await sharedPostgres();
  return postgres.server.url(await postgres.database());
}

async function ofState(): Promise<NonNullable<Parameters<typeof crashAndGoOn>[2]>> {
  return {
    archive: await terraformTemplate(resources),
    look: async (server) => {
      const { size } = await knownThings(server, "judged");
      return size === resources ? [] : [`the service knows ${size} of ${resources} things`];
    },
  };
}

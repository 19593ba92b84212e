import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { CrashSite } from "../support/crash.ts";
import { chooseSeed, createUnderKills, seeded } from "../support/crash-random.ts";
import { CrashTable } from "../support/crash-table.ts";
import { stateComplaints, terraformSkip, terraformTemplate } from "../support/crash-terraform.ts";

const full = process.env["CRASH_TESTS"] === "full";
const seed = chooseSeed();
const table = new CrashTable("random kills");
after(() => table.print());

const resources = 400;

describe(`a server killed at random moments (CRASH_SEED=${seed})`, () => {
  const commands = { kills: full ? 300 : 10, mostMs: 2_500 };
  test(`while it makes ${resources} groups by commands loses nothing and does nothing twice`, async () => {
    const random = seeded(seed);
    const lives: string[] = [];
    let missed = 0;
    for (let left = commands.kills; left > 0;) {
      const site = await CrashSite.open({ groups: resources, width: 40 });
      try {
        const killed = await createUnderKills(site, { ...commands, kills: left, random });
        const complaints = await site.complaints(killed.server, killed.run, "created");
        lives.push(`${killed.killed}`);
        table.put("commands", "kills of each run", { complaints, words: lives.join(" ") });
        assert.deepEqual(complaints, [], `seed ${seed}, run ${lives.length}`);
        left -= killed.killed;
        missed = missesInARow(missed, killed.killed);
      } finally {
        await site.close();
      }
    }
  });

  const terraform = { kills: full ? 200 : 5, mostMs: 1_500 };
  const title = `while Terraform makes ${resources} resources of one group keeps its state and lineage`;
  test(title, { skip: terraformSkip }, async () => {
    const random = seeded(seed + 1);
    const archive = await terraformTemplate(resources);
    const lives: string[] = [];
    let asked = 0;
    let missed = 0;
    for (let left = terraform.kills; left > 0;) {
      const site = await CrashSite.open({ groups: 1, width: 1 }, { archive });
      try {
        const killed = await createUnderKills(site, { ...terraform, kills: left, random });
        const waits = killed.status === "waiting" && killed.reason?.includes("may exist") === true;
        asked += waits ? 1 : 0;
        const found = await site.complaints(killed.server, killed.run, "judged elsewhere");
        await killed.server.stop();
        const complaints = waits
          ? found.filter((complaint) => !complaint.startsWith("the run is waiting"))
          : [...found, ...(await stateComplaints(site.data, resources))];
        lives.push(`${killed.killed}`);
        const words = `${lives.join(" ")}; ${asked} wait with suspected-leak`;
        table.put("terraform", "kills of each run", { complaints, words });
        assert.deepEqual(complaints, [], `seed ${seed}, run ${lives.length}`);
        left -= killed.killed;
        missed = missesInARow(missed, killed.killed);
      } finally {
        await site.close();
      }
    }
  });
});

/** A run on a quick machine may end before its kill comes; when that happens again and again, nothing is tested. */
function missesInARow(before: number, kills: number): number {
  const missed = kills > 0 ? 0 : before + 1;
  assert.ok(missed < 10, "ten runs in a row ended before their server was killed");
  return missed;
}

import { describe, it } from "node:test";
import type { ContractCase, OpenStore } from "./store-contract-case.ts";
import { claimCases } from "./store-contract-claim.ts";
import { environmentCases } from "./store-contract-environment.ts";
import { fenceCases } from "./store-contract-fence.ts";
import { groupCases } from "./store-contract-group.ts";
import { inChainCases } from "./store-contract-in-chain.ts";
import { inPlaceCases } from "./store-contract-in-place.ts";
import { journalCases } from "./store-contract-journal.ts";
import { ownClaimCases } from "./store-contract-own-claim.ts";
import { relayCases } from "./store-contract-relay.ts";
import { runCases } from "./store-contract-run.ts";
import { searchCases } from "./store-contract-search.ts";
import { stepCases } from "./store-contract-step.ts";
import { transactionCases } from "./store-contract-transaction.ts";
import { workerCases } from "./store-contract-worker.ts";

/** What a store's tests stand on: an empty store of its own for every case. */
export interface StoreHarness {
  open(options: { readonly unsafeWithoutFence?: boolean }): Promise<OpenStore>;
}

/** Every promise in the comments of `ports/store`, `ports/repositories` and `ports/work`. Every store runs it. */
export function storeContract(name: string, harness: StoreHarness): void {
  const groups: Readonly<Record<string, readonly ContractCase[]>> = {
    transactions: transactionCases,
    journal: journalCases,
    environments: environmentCases,
    groups: groupCases,
    runs: runCases,
    steps: stepCases,
    claims: claimCases,
    "claims of what the same transaction inserts": ownClaimCases,
    "claims in place of a step that has ended": inPlaceCases,
    "claims in place, one after the other": inChainCases,
    fence: fenceCases,
    workers: workerCases,
    relays: relayCases,
    search: searchCases,
  };
  for (const [group, cases] of Object.entries(groups)) {
    void describe(`${name}: ${group}`, () => {
      for (const each of cases) void it(each.title, () => runCase(harness, each));
    });
  }
}

async function runCase(harness: StoreHarness, each: ContractCase): Promise<void> {
  const open = await harness.open({ unsafeWithoutFence: each.unsafeWithoutFence ?? false });
  try {
    await each.run(open);
  } finally {
    await open.end();
  }
}

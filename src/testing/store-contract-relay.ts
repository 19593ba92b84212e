import assert from "node:assert/strict";
import { timestamp } from "../ports/clock.ts";
import type { RelayGrant } from "../ports/relay.ts";
import type { Store } from "../ports/store.ts";
import type { ContractCase } from "./store-contract-case.ts";
import { anEvent, journalOf } from "./store-contract-data.ts";

const leaseMs = 6_000;

export const relayCases: readonly ContractCase[] = [
  {
    title: "lets the first relay begin at the journal's head, and the next one where it ended",
    async run({ store, clock }) {
      await store.transact((tx) =>
        tx.events.append([anEvent(null), anEvent(null)], timestamp(clock)),
      );
      const [, last] = await journalOf(store, 2);
      const head = await store.read((tx) => tx.events.head());
      assert.equal(head, last?.position);
      assert.equal(await store.read((tx) => tx.relays.position("bus")), null);
      const first = await granted(store, "one");
      assert.equal(first.position, head);
      assert.ok(await advance(store, first, head + 5));
      assert.ok(await advance(store, first, head + 2));
      assert.equal(await store.read((tx) => tx.relays.position("bus")), head + 5);
      await store.transact((tx) => tx.relays.release("bus", first.token));
      assert.equal((await granted(store, "two")).position, head + 5);
    },
  },
  {
    title: "has one owner, until its lease has ended on the store's clock",
    async run({ store, passTime }) {
      const first = await granted(store, "one");
      assert.equal(await take(store, "two"), null);
      assert.deepEqual(await take(store, "one"), first);
      await passTime(leaseMs - 1_000);
      assert.ok(await advance(store, first, first.position));
      await passTime(leaseMs - 1_000);
      assert.equal(await take(store, "two"), null);
      await passTime(1_000);
      const second = await granted(store, "two");
      assert.ok(second.token > first.token);
    },
  },
  {
    title: "refuses the writes of an owner that was replaced or has given up",
    async run({ store, passTime }) {
      const first = await granted(store, "one");
      await passTime(leaseMs);
      const second = await granted(store, "two");
      assert.equal(await advance(store, first, first.position + 9), false);
      await store.transact((tx) => tx.relays.release("bus", first.token));
      assert.equal(await take(store, "one"), null);
      await store.transact((tx) => tx.relays.release("bus", second.token));
      assert.equal(await advance(store, second, second.position + 9), false);
      assert.equal((await granted(store, "one")).position, first.position);
    },
  },
  {
    title: "is taken by one of many at once",
    async run({ store }) {
      const names = Array.from({ length: 8 }, (_none, index) => `owner-${index}`);
      const grants = await Promise.all(names.map((name) => take(store, name)));
      assert.equal(grants.filter((grant) => grant !== null).length, 1);
    },
  },
];

function take(store: Store, owner: string): Promise<RelayGrant | null> {
  return store.transact((tx) => tx.relays.take("bus", owner, leaseMs));
}

async function granted(store: Store, owner: string): Promise<RelayGrant> {
  const grant = await take(store, owner);
  assert.ok(grant !== null);
  return grant;
}

function advance(store: Store, { token }: RelayGrant, position: number): Promise<boolean> {
  return store.transact((tx) => tx.relays.advance("bus", { token, position, leaseMs }));
}

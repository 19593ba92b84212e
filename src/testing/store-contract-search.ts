import assert from "node:assert/strict";
import type { NewEvent } from "../domain/event.ts";
import type { ObservedResource, Resource } from "../domain/resource.ts";
import type { FoundKind } from "../domain/search-document.ts";
import { parseSearch } from "../domain/search-query.ts";
import { timestamp } from "../ports/clock.ts";
import type { Page, PageRequest } from "../ports/page.ts";
import type { GroupPlace } from "../ports/repositories.ts";
import type { FoundThing } from "../ports/search.ts";
import type { Store } from "../ports/store.ts";
import type { FakeClock } from "./fake-clock.ts";
import { holdsToTheLanguage } from "./store-contract-search-law.ts";
import type { ContractCase } from "./store-contract-case.ts";
import { sampleRecord } from "./samples.ts";
import { anEnvironment, anEvent, aTemplate } from "./store-contract-data.ts";

const use = (name: string) => ({ templateId: `tpl_${name}`, name, version: "1", parameters: {} });

/** What the queries are asked of: two environments with something in them, and a template. */
export async function fillForSearch(store: Store, clock: FakeClock): Promise<void> {
  const shop = anEnvironment(clock, {
    id: "env_shop",
    name: "shop-1",
    description: "Orders of the Café, in Köln",
    tags: { team: "Core", tier: "gold" },
    status: "deployed-ok",
    desired: { templates: [use("web-shop")] },
  });
  const other = anEnvironment(clock, { id: "env_other", name: "shop-2", drifted: true });
  const hidden = anEnvironment(clock, { id: "env_hidden", name: "shop-3", prospective: true });
  await store.transact(async (tx) => {
    await tx.templates.insert(
      aTemplate(clock, { id: "tpl_1", name: "web-shop", version: "1.0.0", description: "A shop" }),
    );
    for (const environment of [shop, other, hidden]) await tx.environments.insert(environment);
    await tx.resources.replaceGroup(at, [aResource(clock, "front"), aResource(clock, "back")]);
    await tx.resources.replaceObserved(at, [server, key], timestamp(clock));
    const registered = {
      type: "template.registered",
      subject: "templates/web-shop@1.0.0",
    } as const;
    const events = [anEvent(null, registered), ...[shop, other].map(({ id }) => made(id)), ended];
    await tx.events.append(events, timestamp(clock));
  });
}

/** What is told of an environment that begins to live. */
export function made(environmentId: string): NewEvent {
  return anEvent(environmentId, { type: "environment.deploying" });
}

const at = { environmentId: "env_shop", template: "web-shop", group: "servers" } as const;

/** What is told of a step that has ended well, of a group. */
export function endedOf(place: GroupPlace): NewEvent {
  return anEvent(place.environmentId, { type: "step.succeeded", data: { ...place } });
}

const ended = endedOf(at);

const server: ObservedResource = {
  address: "aws_instance.web-1",
  type: "aws_instance",
  externalId: "i-0abc",
  attributes: { ami: "ami-12", tags: { owner: 'it\'s "quoted" \\ here' }, ports: [80, 443] },
};

const key: ObservedResource = {
  address: "dc1/shop/db_host",
  type: "consul_key",
  externalId: "shop/db_host",
  attributes: { key: "shop/db_host", value: "db.example.com" },
};

function aResource(clock: FakeClock, name: string, over: Partial<Resource> = {}): Resource {
  const now = timestamp(clock);
  return {
    id: clock.id("resource"),
    ...at,
    templateId: "tpl_1",
    key: name,
    name: `${name} server`,
    description: `The ${name} of the shop`,
    tags: { side: name },
    count: 1,
    status: name === "back" ? "failed" : "present",
    links: {},
    checks: [],
    dependsOn: [],
    external: [],
    createdAt: now,
    updatedAt: now,
    ...over,
  };
}

function shown(thing: FoundThing): string {
  switch (thing.kind) {
    case "environment":
      return thing.environment.name;
    case "resource":
      return `${thing.environmentName}/${thing.resource.key}`;
    case "observed":
      return `${thing.environmentName}/${thing.observed.address}`;
    case "template":
      return thing.template.name;
  }
}

export async function find(
  store: Store,
  query: string,
  kinds: readonly FoundKind[] = [],
): Promise<readonly string[]> {
  const page = { limit: 100, cursor: null };
  const { items } = await store.search((tx) => tx.searches.find(parseSearch(query), kinds, page));
  return items.map((thing) => shown(thing));
}

/** What all pages of so many items hold, one after the other. */
export async function pages(
  store: Store,
  query: string,
  limit: number,
): Promise<readonly string[]> {
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const page: PageRequest = { limit, cursor };
    const found: Page<FoundThing> = await store.search((tx) =>
      tx.searches.find(parseSearch(query), [], page),
    );
    assert.ok(found.items.length <= limit);
    seen.push(...found.items.map((thing) => shown(thing)));
    cursor = found.next;
  } while (cursor !== null);
  return seen;
}

export const everything = [
  "shop-1/dc1/shop/db_host",
  "shop-1/aws_instance.web-1",
  "shop-1/back",
  "shop-1/front",
  "shop-2",
  "shop-1",
  "web-shop",
];

/** Queries, and what of `everything` each finds, by place. */
const queries: readonly (readonly [string, readonly number[]])[] = [
  ["cafe", [5]],
  ["CAFÉ köln", [5]],
  ['"of the cafe"', [5]],
  ['"the of"', []],
  ["aws_instance.web-1", [1]],
  ["instance", [1]],
  ["inst", []],
  ["inst*", [1]],
  ['"web 1"', [1]],
  ['"shop d"*', [0]],
  ["db_host", [0]],
  ["db.example.com", [0]],
  ["quoted", [1]],
  ["it's", [1]],
  ["443", [1]],
  ["i-0abc", [1]],
  ["web OR cafe", [0, 1, 2, 3, 5, 6]],
  ["web -instance", [0, 2, 3, 5, 6]],
  ["-shop", []],
  ["shop -(web OR cafe)", [4]],
  ["-web", [4]],
  ["name:shop", [0, 4, 5, 6]],
  ["name:web", [1, 6]],
  ["name:inst*", [1]],
  ["name:cafe", []],
  ["kind:observed", [0, 1]],
  ["kind:resource", [2, 3]],
  ["kind:template", [6]],
  ["type:aws_instance", [1]],
  ["type:AWS_*", [1]],
  ["type:aws", []],
  ["group:servers -kind:resource", [0, 1]],
  ["template:web-shop", [0, 1, 2, 3, 5, 6]],
  ["template:web*", [0, 1, 2, 3, 5, 6]],
  ["tag:team", [5]],
  ["tag:team=core", [5]],
  ["tag:team=co*", [5]],
  ["tag:team=co", []],
  ["tag:side=back OR tag:tier", [2, 5]],
  ["environment:shop-1", [0, 1, 2, 3, 5]],
  ["environment:shop-1 kind:environment", [5]],
  ["environment:shop-*", [0, 1, 2, 3, 4, 5]],
  ["environment:shop-3", []],
  ["environment:none", []],
  ["-environment:shop-1", [4, 6]],
  ["status:deployed-ok", [5]],
  ["status:failed", [2]],
  ["status:present", [3]],
  ["status:drifted", [4]],
  ["status:draft", [6]],
  ["-status:deployed-ok shop", [0, 1, 2, 3, 4, 6]],
  ["status:failed OR cafe", [2, 5]],
  ["(status:failed OR status:present) server", [2, 3]],
  ["shop status:failed -back", []],
];

export const searchCases: readonly ContractCase[] = [
  {
    title: "finds what fits a query, the newest first",
    async run({ store, clock }) {
      await fillForSearch(store, clock);
      assert.deepEqual(await find(store, "shop OR -shop"), everything);
      for (const [query, places] of queries) {
        const expected = places.map((place) => everything[place]);
        assert.deepEqual(await find(store, query), expected, query);
      }
    },
  },
  {
    title: "finds what a plain reading of a query finds, whatever the query",
    async run({ store, clock }) {
      await fillForSearch(store, clock);
      await holdsToTheLanguage(store);
    },
  },
  {
    title: "gives the things themselves, and only of the kinds that are asked for",
    async run({ store, clock }) {
      await fillForSearch(store, clock);
      const page = { limit: 10, cursor: null };
      const query = parseSearch("web-1");
      const { items } = await store.search((tx) => tx.searches.find(query, [], page));
      const observed = { ...at, ...server, observedAt: timestamp(clock) };
      assert.deepEqual(items, [{ kind: "observed", observed, environmentName: "shop-1" }]);
      assert.deepEqual(await find(store, "shop", ["environment", "template"]), [
        "shop-2",
        "shop-1",
        "web-shop",
      ]);
    },
  },
  {
    title: "gives pages without gaps or repeats, also where a condition thins them out",
    async run({ store, clock }) {
      await store.transact(async (tx) => {
        const many = Array.from({ length: 90 }, (_, n) =>
          aResource(clock, `k${n}`, { status: n % 3 === 0 ? "failed" : "present" }),
        );
        await tx.environments.insert(anEnvironment(clock, { id: "env_shop" }));
        await tx.resources.replaceGroup(at, many);
        await tx.events.append([ended], timestamp(clock));
      });
      for (const [query, count] of [
        ["server kind:resource", 90],
        ["server status:failed", 30],
        ["status:failed", 30],
      ] as const) {
        const seen = await pages(store, query, 7);
        assert.equal(seen.length, count, query);
        assert.equal(new Set(seen).size, count, query);
      }
    },
  },
  {
    title: "forgets what goes, and finds what changes as it is now",
    async run({ store, clock }) {
      await fillForSearch(store, clock);
      await store.transact(async (tx) => {
        await tx.resources.replaceGroup(at, [
          aResource(clock, "front", { description: "Another text" }),
        ]);
        const moved = { ...server, attributes: { ami: "ami-77" } };
        await tx.resources.replaceObserved(at, [moved], timestamp(clock));
        await tx.environments.update("env_shop", { description: "Invoices" });
        await tx.environments.update("env_hidden", { prospective: false });
        const events = [ended, anEvent("env_shop"), made("env_hidden")];
        await tx.events.append(events, timestamp(clock));
      });
      assert.deepEqual(await find(store, "back"), []);
      assert.deepEqual(await find(store, "another"), ["shop-1/front"]);
      assert.deepEqual(await find(store, "db_host OR ami-12"), []);
      assert.deepEqual(await find(store, "ami-77"), ["shop-1/aws_instance.web-1"]);
      assert.deepEqual(await find(store, "cafe"), []);
      assert.deepEqual(await find(store, "invoices"), ["shop-1"]);
      assert.deepEqual(await find(store, "name:shop-3"), ["shop-3"]);
      await store.transact(async (tx) => {
        await tx.resources.replaceGroup(at, []);
        await tx.resources.replaceObserved(at, [], timestamp(clock));
        await tx.environments.update("env_shop", { status: "destroyed" });
        const destroyed = anEvent("env_shop", { type: "environment.destroyed" });
        await tx.events.append([ended, destroyed], timestamp(clock));
      });
      assert.deepEqual(await find(store, "-name:nothing"), ["shop-3", "shop-2", "web-shop"]);
    },
  },
  {
    title: "indexes nothing of a transaction that is rolled back",
    async run({ store, clock }) {
      const failing = store.transact(async (tx) => {
        const never = anEnvironment(clock, { name: "never" });
        await tx.environments.insert(never);
        await tx.events.append([made(never.id)], timestamp(clock));
        throw new Error("rolled back");
      });
      await assert.rejects(failing, /rolled back/u);
      assert.deepEqual(await find(store, "never"), []);
    },
  },
  {
    title: "finds thousands of changes that nobody has asked for so far, each as it was left",
    async run({ store, clock }) {
      const environment = anEnvironment(clock, { name: "large" });
      const groups = Array.from({ length: 640 }, (_, n) => ({
        environmentId: environment.id,
        template: "web-shop",
        group: `g${n}`,
      }));
      await store.transact(async (tx) => {
        await tx.environments.insert(environment);
        await tx.events.append([made(environment.id)], timestamp(clock));
      });
      for (const round of ["first", "last"])
        for (let from = 0; from < groups.length; from += 100)
          await store.transact(async (tx) => {
            for (const [n, place] of groups.slice(from, from + 100).entries()) {
              const attributes = { note: `${round} w${from + n}` };
              const things = ["a", "b", "c"].map((address) => ({ ...server, address, attributes }));
              await tx.resources.replaceObserved(place, things, timestamp(clock));
              await tx.events.append([endedOf(place)], timestamp(clock));
            }
          });
      assert.deepEqual(await find(store, "w639"), ["large/c", "large/b", "large/a"]);
      assert.deepEqual(await find(store, "first"), []);
      assert.equal((await pages(store, "kind:observed last", 500)).length, 3 * groups.length);
    },
  },
  {
    title: "follows the drift of a group in what was observed of it",
    async run({ store, clock }) {
      await fillForSearch(store, clock);
      const record = sampleRecord({ ...at, appliedAt: timestamp(clock) });
      await store.transact((tx) => tx.records.put(record));
      assert.deepEqual(await find(store, "status:present kind:observed"), everything.slice(0, 2));
      await store.transact(async (tx) => {
        await tx.records.put({ ...record, drift: "missing" });
        await tx.resources.setGroupStatus(at, "drifted", timestamp(clock));
      });
      assert.deepEqual(await find(store, "status:drifted"), everything.slice(0, 5));
    },
  },
  {
    title: "refuses the beginning of too many names of environments",
    async run({ store, clock }) {
      const many = Array.from({ length: 101 }, (_, n) =>
        anEnvironment(clock, { name: `many-${n}` }),
      );
      await store.transact(async (tx) => {
        for (const environment of many) await tx.environments.insert(environment);
        await tx.events.append(
          many.map(({ id }) => made(id)),
          timestamp(clock),
        );
      });
      await assert.rejects(find(store, "environment:many-*"), {
        code: "invalid-request",
        message: /more than 100 names/u,
      });
      assert.equal((await find(store, "environment:many-1*")).length, 12);
      assert.deepEqual(await find(store, `environment:${many[7]?.id} many`), ["many-7"]);
    },
  },
];

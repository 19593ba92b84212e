import assert from "node:assert/strict";
import { timestamp } from "../ports/clock.ts";
import type { ContractCase } from "./store-contract-case.ts";
import { allPages, anEnvironment, aTemplate, withCode } from "./store-contract-data.ts";

export const environmentCases: readonly ContractCase[] = [
  {
    title: "keeps every member of an environment, and changes only those that a patch names",
    async run({ store, clock }) {
      const environment = anEnvironment(clock, {
        name: "shop",
        description: "ünï 'quoted' \\ \u0000?",
        tags: { team: "a" },
        failure: { code: "step-failed", message: "x", details: [{ message: "y", pointer: "/a" }] },
        desired: {
          templates: [
            {
              templateId: "tpl_1",
              name: "shop",
              version: "1.0.0",
              parameters: { n: 1, l: [null] },
            },
          ],
        },
        outputs: { url: "http://x", key: { $secret: "sec_1", fingerprint: "f" } },
        entrypoints: { web: { url: "http://x", description: "d" } },
        outdated: true,
        plannedDestructionAt: timestamp(clock, 1_000),
      });
      await store.transact((tx) => tx.environments.insert(environment));
      assert.deepEqual(await store.read((tx) => tx.environments.get(environment.id)), environment);
      const patch = { failure: null, reason: "why", outdated: false, drifted: true } as const;
      await store.transact((tx) => tx.environments.update(environment.id, patch));
      await store.transact((tx) => tx.environments.update(environment.id, {}));
      assert.deepEqual(await store.read((tx) => tx.environments.get(environment.id)), {
        ...environment,
        ...patch,
      });
    },
  },
  {
    title: "takes a name once among the living, and again after they are destroyed",
    async run({ store, clock }) {
      const first = anEnvironment(clock, { name: "shop" });
      const second = anEnvironment(clock, { name: "shop" });
      const third = anEnvironment(clock, { name: "shop" });
      await store.transact((tx) => tx.environments.insert(first));
      await assert.rejects(
        store.transact((tx) => tx.environments.insert(second)),
        withCode("already-exists"),
      );
      const destroy = (id: string) =>
        store.transact((tx) => tx.environments.update(id, { status: "destroyed" }));
      await destroy(first.id);
      await store.transact((tx) => tx.environments.insert(second));
      const find = async (idOrName: string) =>
        (await store.read((tx) => tx.environments.find(idOrName)))?.id ?? null;
      assert.equal(await find("shop"), second.id);
      assert.equal(await find(first.id), first.id);
      await destroy(second.id);
      assert.equal(await find("shop"), second.id);
      await store.transact((tx) => tx.environments.insert(third));
      assert.equal(await find("shop"), third.id);
      assert.equal(await find("other"), null);
    },
  },
  {
    title: "gives one of two that insert the same name at once",
    async run({ store, clock }) {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 5 }, () =>
          store.transact((tx) => tx.environments.insert(anEnvironment(clock, { name: "shop" }))),
        ),
      );
      assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
    },
  },
  {
    title: "lists newest first, leaves destroyed ones out unless asked, and pages steadily",
    async run({ store, clock }) {
      const all = Array.from({ length: 9 }, (_none, index) =>
        anEnvironment(clock, { status: index % 3 === 0 ? "destroyed" : "deployed-ok" }),
      );
      await store.transact(async (tx) => {
        for (const environment of all) await tx.environments.insert(environment);
      });
      const living = all.filter(({ status }) => status !== "destroyed").toReversed();
      const read = await allPages(
        (page) => store.read((tx) => tx.environments.list({}, page)),
        () => store.transact((tx) => tx.environments.insert(anEnvironment(clock))),
      );
      assert.deepEqual(
        read.map(({ id }) => id),
        living.map(({ id }) => id),
      );
      const count = async (filter: { includeDestroyed?: boolean; status?: "destroyed" }) =>
        (await store.read((tx) => tx.environments.list(filter, { limit: 100, cursor: null }))).items
          .length;
      assert.equal(await count({ status: "destroyed" }), 3);
      assert.equal((await count({ includeDestroyed: true })) - (await count({})), 3);
    },
  },
  {
    title: "knows whose time has come and whose comes next",
    async run({ store, clock }) {
      const at = (plusMs: number) => ({ plannedDestructionAt: timestamp(clock, plusMs) });
      const all = [
        anEnvironment(clock, at(3_000)),
        anEnvironment(clock, at(1_000)),
        anEnvironment(clock, { ...at(500), status: "destroyed" }),
        anEnvironment(clock),
      ];
      await store.transact(async (tx) => {
        for (const environment of all) await tx.environments.insert(environment);
      });
      const due = async (plusMs: number) =>
        (await store.read((tx) => tx.environments.due(timestamp(clock, plusMs), 10))).map(
          ({ id }) => id,
        );
      assert.deepEqual(await due(999), []);
      assert.deepEqual(await due(1_000), [all[1]?.id]);
      assert.deepEqual(await due(5_000), [all[1]?.id, all[0]?.id]);
      const next = (plusMs: number) =>
        store.read((tx) => tx.environments.nextDue(timestamp(clock, plusMs)));
      assert.equal(await next(0), timestamp(clock, 1_000));
      assert.equal(await next(1_000), timestamp(clock, 3_000));
      assert.equal(await next(3_000), null);
    },
  },
  {
    title: "knows who requires whom among the living",
    async run({ store, clock }) {
      const base = anEnvironment(clock);
      const user = anEnvironment(clock, { requires: [base.id, base.id] });
      const gone = anEnvironment(clock, { requires: [base.id], status: "destroyed" });
      await store.transact(async (tx) => {
        for (const environment of [base, user, gone]) await tx.environments.insert(environment);
      });
      const requiring = async () =>
        (await store.read((tx) => tx.environments.requiring(base.id))).map(({ id }) => id);
      assert.deepEqual(await requiring(), [user.id]);
      assert.deepEqual(await store.read((tx) => tx.environments.requirementEdges()), [
        [user.id, base.id],
      ]);
      await store.transact((tx) => tx.environments.update(user.id, { requires: [] }));
      assert.deepEqual(await requiring(), []);
    },
  },
  {
    title: "keeps templates whole, one for a name and version, and replaces only drafts",
    async run({ store, clock }) {
      const template = aTemplate(clock, { name: "shop", version: "1.0.0" });
      await store.transact((tx) => tx.templates.insert(template));
      assert.deepEqual(await store.read((tx) => tx.templates.get(template.id)), template);
      assert.deepEqual(await store.read((tx) => tx.templates.find("shop", "1.0.0")), template);
      const twin = aTemplate(clock, { name: "shop", version: "1.0.0" });
      await assert.rejects(
        store.transact((tx) => tx.templates.insert(twin)),
        withCode("already-exists"),
      );
      const changed = { ...template, digest: "22", description: "new" };
      await store.transact((tx) => tx.templates.replaceDraft(changed));
      assert.deepEqual(await store.read((tx) => tx.templates.get(template.id)), changed);
      await store.transact((tx) => tx.templates.setStatus(template.id, "active"));
      await store.transact((tx) => tx.templates.replaceDraft({ ...template, status: "active" }));
      const { body: _body, files: _files, ...summary } = { ...changed, status: "active" };
      assert.deepEqual(await store.read((tx) => tx.templates.summary(template.id)), summary);
    },
  },
  {
    title: "lists templates by name, then in order of registration, in pages",
    async run({ store, clock }) {
      const order = ["b 2.0.0", "a 1.0.0", "b 1.0.0", "c 1.0.0", "a 0.9.0"];
      await store.transact(async (tx) => {
        for (const each of order) {
          const [name = "", version = ""] = each.split(" ");
          await tx.templates.insert(aTemplate(clock, { name, version }));
        }
      });
      const read = await allPages((page) => store.read((tx) => tx.templates.list(page)));
      assert.deepEqual(
        read.map(({ name, version }) => `${name} ${version}`),
        ["a 1.0.0", "a 0.9.0", "b 2.0.0", "b 1.0.0", "c 1.0.0"],
      );
      const versions = await store.read((tx) => tx.templates.versions("b"));
      assert.deepEqual(
        versions.map(({ version }) => version),
        ["2.0.0", "1.0.0"],
      );
      const [marks, summaries] = await store.read(async (tx) => [
        await tx.templates.marks("b"),
        await tx.templates.versions("b"),
      ]);
      assert.deepEqual(
        marks.map((mark) => ({ ...mark })),
        summaries.map(({ id, version, status, digest }) => ({ id, version, status, digest })),
      );
      assert.deepEqual(await store.read((tx) => tx.templates.blobDigests()), ["d1"]);
    },
  },
];

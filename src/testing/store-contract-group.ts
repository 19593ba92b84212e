import assert from "node:assert/strict";
import type { StoredAuthority } from "../ports/repositories.ts";
import type { CheckState } from "../domain/check.ts";
import type { SavedPlan } from "../domain/plan.ts";
import type { GroupRecord } from "../domain/record.ts";
import type { ObservedResource, Resource } from "../domain/resource.ts";
import { timestamp } from "../ports/clock.ts";
import type { StateVersion } from "../ports/repositories.ts";
import { sampleSecret } from "./samples.ts";
import type { FakeClock } from "./fake-clock.ts";
import type { ContractCase } from "./store-contract-case.ts";

const at = { environmentId: "env_1", template: "shop", group: "web" } as const;

export const groupCases: readonly ContractCase[] = [
  {
    title: "keeps one record a group, whole, until it is removed",
    async run({ store, clock }) {
      const first = aRecord(clock, { group: "b" });
      const second = aRecord(clock, { group: "a", fingerprint: null, status: "partial" });
      const changed = { ...first, outputs: { port: 1, k: { $secret: "sec_1", fingerprint: "f" } } };
      await store.transact(async (tx) => {
        for (const record of [first, second, changed]) await tx.records.put(record);
      });
      assert.deepEqual(await store.read((tx) => tx.records.list("env_1")), [second, changed]);
      assert.deepEqual(await store.read((tx) => tx.records.get("env_1", "shop", "b")), changed);
      const names = ["b", "none", ...Array.from({ length: 450 }, (_none, n) => `g${n}`), "a"];
      const some = await store.read((tx) => tx.records.some("env_1", "shop", names));
      assert.deepEqual(some.map(({ group }) => group).toSorted(), ["a", "b"]);
      await store.transact((tx) => tx.records.remove("env_1", "shop", "b"));
      assert.equal(await store.read((tx) => tx.records.get("env_1", "shop", "b")), null);
    },
  },
  {
    title: "makes resources those of the group: ids and birth stay, others go",
    async run({ store, clock }) {
      const first = [aResource(clock, "a"), aResource(clock, "b", ["web.a"])];
      const other = { ...aResource(clock, "x"), group: "database" };
      await store.transact(async (tx) => {
        await tx.resources.replaceGroup(at, first);
        await tx.resources.replaceGroup({ ...at, group: "database" }, [other]);
      });
      clock.advance(1_000);
      const next = [aResource(clock, "b"), aResource(clock, "c", ["web.b"])];
      await store.transact((tx) => tx.resources.replaceGroup(at, next));
      const now = await store.read((tx) => tx.resources.ofEnvironment("env_1"));
      const kept = { ...next[0], id: first[1]?.id, createdAt: first[1]?.createdAt };
      assert.deepEqual(now, [other, kept, next[1]]);
      assert.deepEqual(await store.read((tx) => tx.resources.ofGroup(at)), [kept, next[1]]);
      const none = { ...at, group: "none" };
      assert.deepEqual(await store.read((tx) => tx.resources.ofGroup(none)), []);
      await store.transact((tx) => tx.resources.setGroupStatus(at, "failed", timestamp(clock)));
      const statuses = (await store.read((tx) => tx.resources.ofEnvironment("env_1"))).map(
        ({ status }) => status,
      );
      assert.deepEqual(statuses, ["present", "failed", "failed"]);
      assert.deepEqual(await store.read((tx) => tx.resources.get(other.id)), other);
      const page = await store.read((tx) => tx.resources.list({ limit: 2, cursor: null }));
      const rest = await store.read((tx) => tx.resources.list({ limit: 2, cursor: page.next }));
      const listed = [...page.items, ...rest.items].map(({ id }) => id);
      assert.deepEqual(listed, now.map(({ id }) => id).toSorted());
    },
  },
  {
    title: "keeps what was observed of a group until the next look",
    async run({ store, clock }) {
      const now = timestamp(clock);
      await store.transact(async (tx) => {
        await tx.resources.replaceObserved(at, [seen("a"), seen("b")], now);
        await tx.resources.addObserved({ ...at, group: "other" }, [seen("z")], now);
        await tx.resources.replaceObserved(at, [seen("b"), seen("c")], now);
      });
      const observed = await store.read((tx) => tx.resources.observedOf("env_1"));
      assert.deepEqual(
        observed.map(({ group, address }) => `${group} ${address}`),
        ["other z", "web b", "web c"],
      );
      assert.deepEqual(observed[1], { ...at, ...seen("b"), observedAt: now });
    },
  },
  {
    title: "keeps the newest state of each check and forgets those not named",
    async run({ store }) {
      const passed = {
        ...check("b"),
        status: "passing" as const,
        detail: "HTTP 200",
        lost: "it cannot be asked",
      };
      await store.transact(async (tx) => {
        for (const each of [check("b"), check("a"), passed, check("c")]) await tx.checks.put(each);
      });
      assert.deepEqual(await store.read((tx) => tx.checks.list("env_1")), [
        check("a"),
        passed,
        check("c"),
      ]);
      await store.transact((tx) => tx.checks.keepOnly("env_1", ["b", "x"]));
      assert.deepEqual(await store.read((tx) => tx.checks.list("env_1")), [passed]);
    },
  },
  {
    title: "finds the newest sealed value with the same fingerprint",
    async run({ store, clock }) {
      const seal = (fingerprint: string, byte: number) => ({
        id: clock.id("secret"),
        environmentId: "env_1",
        name: "parameter/key",
        sealed: new Uint8Array([byte, 0, 255]),
        fingerprint,
        keeper: "embedded",
        createdAt: timestamp(clock),
      });
      const all = [seal("f", 1), seal("g", 2), seal("f", 3)];
      await store.transact(async (tx) => {
        for (const secret of all) await tx.secrets.put(secret);
      });
      const same = await store.read((tx) => tx.secrets.same("env_1", "parameter/key", "f"));
      assert.deepEqual(same, all[2]);
      assert.equal(await store.read((tx) => tx.secrets.same("env_1", "other", "f")), null);
      await store.transact((tx) => tx.secrets.remove([all[0]?.id ?? "", all[2]?.id ?? ""]));
      assert.deepEqual(await store.read((tx) => tx.secrets.ofEnvironment("env_1")), [all[1]]);
    },
  },
  {
    title:
      "keeps what is public of certificates, and says how many there are and when the next one ends",
    async run({ store }) {
      const facts = {
        asked: { role: "r", commonName: "a", altNames: ["a"], ttlMs: 9, renewBeforeMs: 3 },
        serial: "0a",
        issuer: "CN=x",
        notBefore: "2026-01-01T00:00:00.000Z",
        earlier: [{ serial: "0b", notAfter: "2026-02-01T00:00:00.000Z", keeper: "embedded" }],
      };
      const of = { environmentId: "env_certified", kind: "certificate" } as const;
      const ends = () => store.read((tx) => tx.ownedSecrets.certificateEnds());
      const before = await ends();
      const [early, late] = ["2000-01-01T00:00:00.000Z", "2001-01-01T00:00:00.000Z"].map(
        (notAfter, n) =>
          sampleSecret({ ...of, name: `c${n}`, certificate: { ...facts, notAfter } }),
      );
      assert.ok(early !== undefined && late !== undefined);
      await store.transact(async (tx) => {
        for (const one of [late, early]) await tx.ownedSecrets.put(one);
      });
      const list = await store.read((tx) => tx.ownedSecrets.ofEnvironment(of.environmentId));
      assert.deepEqual(list, [early, late]);
      const soonest = "2000-01-01T00:00:00.000Z";
      assert.deepEqual(await ends(), { count: before.count + 2, soonest });
      await store.transact((tx) => tx.ownedSecrets.remove(of.environmentId, "sample", "c0"));
      assert.deepEqual((await ends()).count, before.count + 1);
    },
  },
  {
    title:
      "keeps the first authority under a name, and of the revoked certificates those that are not over",
    async run({ store }) {
      assert.equal(await store.read((tx) => tx.certificates.authority("contract")), null);
      for (const text of ["first", "second"])
        await store.transact((tx) => tx.certificates.keepAuthority(sampleAuthority(text)));
      const kept = await store.read((tx) => tx.certificates.authority("contract"));
      assert.equal(kept?.certificate, "first");
      assert.equal(Buffer.from(kept.sealed).toString(), "first");
      const [now, later] = ["2026-01-02T00:00:00.000Z", "2026-01-04T00:00:00.000Z"];
      const soon = { serial: "0a", notAfter: "2026-01-03T00:00:00.000Z" };
      const far = { serial: "0b", notAfter: "2027-01-03T00:00:00.000Z" };
      await store.transact((tx) => tx.certificates.revoke([soon, far], now));
      await store.transact((tx) => tx.certificates.revoke([far], later));
      const revoked = (time: string) => store.read((tx) => tx.certificates.revoked(time));
      assert.deepEqual(await revoked(now), [{ ...far, revokedAt: now }]);
    },
  },
  {
    title: "keeps the newest version of each declared secret and finds those that are due",
    async run({ store }) {
      const of = { environmentId: "env_1", template: "shop" };
      const first = sampleSecret({ ...of, name: "b", rotateAt: "2026-03-01T00:00:00.000Z" });
      const second = sampleSecret({ ...of, name: "a", rotateAt: "2026-02-01T00:00:00.000Z" });
      const other = sampleSecret({ environmentId: "env_2", name: "a" });
      await store.transact(async (tx) => {
        for (const one of [first, second, other]) await tx.ownedSecrets.put(one);
      });
      const due = (now: string) => store.read((tx) => tx.ownedSecrets.due(now, 5));
      assert.deepEqual(await due("2026-03-02T00:00:00.000Z"), [second, first]);
      assert.deepEqual(await due("2026-02-02T00:00:00.000Z"), [second]);
      const newer = { ...second, version: 2, rotation: 1, secretId: "sec_2", rotateAt: null };
      await store.transact((tx) => tx.ownedSecrets.put(newer));
      const list = await store.read((tx) => tx.ownedSecrets.ofEnvironment("env_1"));
      assert.deepEqual(list, [newer, first]);
      await store.transact((tx) => tx.ownedSecrets.remove("env_1", "shop", "b"));
      assert.equal(await store.read((tx) => tx.ownedSecrets.get("env_1", "shop", "b")), null);
      assert.deepEqual(
        await store.read((tx) => tx.ownedSecrets.get("env_2", "sample", "a")),
        other,
      );
    },
  },
  {
    title: "numbers states, keeps the newest of them and clears the one in progress",
    async run({ store, clock }) {
      const state = (serial: number): StateVersion => ({
        ...at,
        version: 0,
        serial,
        lineage: "l",
        blob: `blob${serial}`,
        createdAt: timestamp(clock),
      });
      await store.transact(async (tx) => {
        for (let serial = 1; serial <= 5; serial += 1) {
          await tx.states.putProgress(state(serial));
          await tx.states.putProgress(state(serial + 100));
          if (serial < 5) await tx.states.addVersion(state(serial), 3);
        }
      });
      const versions = await store.read((tx) => tx.states.list(at));
      assert.deepEqual(
        versions.map(({ version, serial }) => [version, serial]),
        [
          [4, 4],
          [3, 3],
          [2, 2],
        ],
      );
      assert.deepEqual(await store.read((tx) => tx.states.latest(at)), {
        ...state(4),
        version: 4,
      });
      assert.deepEqual(await store.read((tx) => tx.states.inProgress(at)), state(105));
      const blobs = await store.read((tx) => tx.states.blobDigests());
      assert.deepEqual(blobs.toSorted(), ["blob105", "blob2", "blob3", "blob4"]);
      await store.transact((tx) => tx.states.removeEnvironment("env_1"));
      assert.equal(await store.read((tx) => tx.states.latest(at)), null);
    },
  },
  {
    title: "keeps saved plans whole, newest first",
    async run({ store, clock }) {
      const plans = [aPlan(clock), aPlan(clock), { ...aPlan(clock), environmentId: "env_2" }];
      await store.transact(async (tx) => {
        for (const plan of plans) await tx.plans.insert(plan);
      });
      const [first, second] = plans;
      assert.ok(first && second);
      const ready = {
        status: "ready",
        plan: { formatVersion: 1, steps: [], digest: "d" },
      } as const;
      await store.transact((tx) => tx.plans.update(first.id, ready));
      assert.deepEqual(await store.read((tx) => tx.plans.get(first.id)), { ...first, ...ready });
      const page = await store.read((tx) => tx.plans.list("env_1", { limit: 1, cursor: null }));
      assert.deepEqual(page.items, [second]);
      const rest = await store.read((tx) =>
        tx.plans.list("env_1", { limit: 1, cursor: page.next }),
      );
      assert.deepEqual([rest.items, rest.next], [[{ ...first, ...ready }], null]);
    },
  },
];

function aRecord(clock: FakeClock, over: Partial<GroupRecord>): GroupRecord {
  return {
    ...at,
    templateId: "tpl_1",
    executor: "command",
    behaviour: 1,
    status: "applied",
    upstreams: ["shop/network"],
    settings: { create: ["./up"] },
    fingerprint: "f",
    outputs: {},
    memory: null,
    drift: "unknown",
    timeoutMs: 1_000,
    runsOn: ["eu", "gpu"],
    appliedAt: timestamp(clock),
    ...over,
  };
}

function aResource(clock: FakeClock, key: string, dependsOn: readonly string[] = []): Resource {
  return {
    ...at,
    id: clock.id("resource"),
    templateId: "tpl_1",
    key,
    name: key,
    description: "",
    tags: {},
    count: 1,
    status: "present",
    links: { ui: "http://x" },
    checks: ["web.a.up"],
    dependsOn,
    external: ["dns"],
    createdAt: timestamp(clock),
    updatedAt: timestamp(clock),
  };
}

function aPlan(clock: FakeClock): SavedPlan {
  return {
    id: clock.id("plan"),
    environmentId: "env_1",
    runId: "run_1",
    kind: "update",
    status: "making",
    desired: { templates: [] },
    basis: { generation: 1, templateDigests: ["d"], parametersHmac: "h", groups: { "a/b": "c" } },
    plan: null,
    createdAt: timestamp(clock),
    expiresAt: timestamp(clock, 1_000),
  };
}

function seen(address: string): ObservedResource {
  return { address, type: "terraform_data", externalId: null, attributes: { n: [1] } };
}

function check(key: string): CheckState {
  return {
    environmentId: "env_1",
    key,
    status: "pending",
    detail: "",
    target: "http://x",
    checkedAt: null,
    lost: null,
  };
}

function sampleAuthority(text: string): StoredAuthority {
  return {
    name: "contract",
    certificate: text,
    sealed: Buffer.from(text),
    createdAt: "2026-01-01T00:00:00.000Z",
  };
}

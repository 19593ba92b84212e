import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { GlasshouseError } from "../src/domain/errors.ts";
import { accept } from "../src/services/command.ts";
import { getCompatibility, getTemplate, listTemplateVersions } from "../src/services/template.ts";
import { createServiceWorld, plainYaml, shopYaml, type ServiceWorld } from "./support/services.ts";

describe("registering a template", () => {
  let w: ServiceWorld;
  before(async () => {
    w = await createServiceWorld();
  });
  after(() => w.close());

  test("is done with its command, and keeps the files by content", async () => {
    const command = await w.register(plainYaml(), {}, { "data/a.txt": "A" });
    assert.equal(command.status, "completed");
    const template = await getTemplate(w.services, "plain");
    assert.equal(template.id, command.templateId);
    assert.deepEqual(template.files.map((file) => file.path).toSorted(), [
      "data/a.txt",
      "template.yaml",
    ]);
    const digest = template.files.find((file) => file.path === "data/a.txt")?.digest ?? "";
    assert.equal(new TextDecoder().decode(await w.deps.blobs.get(digest)), "A");
  });

  test("takes the same content again as the same template, and refuses other content", async () => {
    const first = await w.register(plainYaml("1.1.0"));
    const second = await w.register(plainYaml("1.1.0"));
    assert.equal(second.templateId, first.templateId);
    assert.notEqual(second.id, first.id);
    const other = w.register(plainYaml("1.1.0"), {}, { "more.txt": "M" });
    await assert.rejects(other, { code: "already-exists" });
  });

  test("registers once when many ask at once", async () => {
    const commands = await Promise.all(
      Array.from({ length: 10 }, () => w.register(plainYaml("1.2.0"))),
    );
    assert.equal(new Set(commands.map((command) => command.templateId)).size, 1);
    const versions = await listTemplateVersions(w.services, "plain");
    assert.equal(versions.filter((one) => one.version === "1.2.0").length, 1);
  });

  test("lets a draft's content be replaced until it is activated", async () => {
    const draft = await w.register(plainYaml("2.0.0"), { draft: true });
    const replaced = await w.register(plainYaml("2.0.0"), { draft: true }, { "b.txt": "B" });
    assert.equal(replaced.templateId, draft.templateId);
    const template = await getTemplate(w.services, "plain", "2.0.0");
    assert.deepEqual([template.status, template.files.length], ["draft", 2]);
    await w.send("template.activate", "plain@2.0.0");
    const other = w.register(plainYaml("2.0.0"), { draft: true }, { "c.txt": "C" });
    await assert.rejects(other, { code: "already-exists" });
  });

  test("names every mistake by its place, and keeps nothing of the template", async () => {
    const yaml = plainYaml("3.0.0").replace("size: {", "size: { secrit: true,");
    await assert.rejects(w.register(`${yaml}more: 1\n`), (error) => {
      assert.ok(error instanceof GlasshouseError);
      assert.equal(error.code, "invalid-template");
      assert.ok(error.details.length >= 2);
      for (const detail of error.details)
        assert.match(detail.place ?? "", /^template\.yaml:\d+:\d+$/u);
      return true;
    });
    const versions = await listTemplateVersions(w.services, "plain");
    assert.ok(!versions.some((one) => one.version === "3.0.0"));
  });

  test("says what is missing when there is no template.yaml", async () => {
    const files = [{ path: "readme.txt", mode: 0o644, bytes: new Uint8Array() }];
    const sent = accept(
      { ...w.services, archive: { unpack: async () => ({ files, commit: null }) } },
      {
        source: "test",
        id: "no-file",
        type: "template.register",
        subject: null,
        data: {},
        actor: "tester",
        archive: new Uint8Array([1]),
      },
    );
    await assert.rejects(sent, /no template\.yaml.*readme\.txt/u);
  });

  test("pins a repository to its commit, and refuses URLs with credentials without showing them", async () => {
    const files = [
      {
        path: "template.yaml",
        mode: 0o644,
        bytes: new TextEncoder().encode(plainYaml("4.0.0")),
      },
    ];
    const fetched = {
      ...w.services,
      git: { fetch: async () => ({ files, commit: "c0ffee" }) },
    };
    const request = {
      source: "test",
      type: "template.register",
      subject: null,
      actor: "tester",
    } as const;
    const repository = "https://example.com/shop.git";
    await accept(fetched, { ...request, id: "git-1", data: { repository, path: "shop" } });
    const { source } = await getTemplate(w.services, "plain", "4.0.0");
    assert.deepEqual(source, {
      kind: "git",
      repository,
      ref: "HEAD",
      commit: "c0ffee",
      path: "shop",
    });
    const data = { repository: "https://me:hunter2@example.com/shop.git" };
    await assert.rejects(accept(fetched, { ...request, id: "git-2", data }), (error) => {
      assert.ok(error instanceof GlasshouseError);
      assert.equal(error.code, "unsafe-source");
      assert.ok(!error.message.includes("hunter2"));
      return true;
    });
  });

  test("wants one source", async () => {
    assert.equal((await w.refused("template.register", null)).code, "invalid-request");
    const both = { repository: "https://example.com/a.git", archive: "AAAA" };
    assert.equal((await w.refused("template.register", null, both)).code, "invalid-request");
    const wrong = { archive: "not base64!" };
    assert.equal((await w.refused("template.register", null, wrong)).code, "invalid-request");
  });

  test("compares a version with the one before it", async () => {
    const first = await w.register(shopYaml());
    assert.equal(await getCompatibility(w.services, first.templateId ?? ""), null);
    const yaml = shopYaml("1.1.0").replace("default: 3", "description: How many");
    const second = await w.register(yaml);
    const compared = await getCompatibility(w.services, second.templateId ?? "");
    assert.ok(compared !== null);
    assert.equal(compared.against, "1.0.0");
    assert.ok(compared.breaking.some((one) => one.includes("size")));
  });
});

describe("the status of a template", () => {
  let w: ServiceWorld;
  before(async () => {
    w = await createServiceWorld();
    await w.register(plainYaml());
  });
  after(() => w.close());

  test("moves to deprecated and back, as often as it is asked for", async () => {
    await w.send("template.deprecate", "plain@1.0.0");
    await w.send("template.deprecate", "plain", { version: "1.0.0" });
    assert.equal((await getTemplate(w.services, "plain", "1.0.0")).status, "deprecated");
    await w.send("template.activate", "plain@1.0.0");
    const events = await w.store.read((tx) => tx.events.after(0, { limit: 100 }));
    const own = events.map((event) => event.type).filter((type) => type.startsWith("template."));
    assert.deepEqual(own, ["template.registered", "template.deprecated", "template.activated"]);
  });

  test("needs a version, and a draft is not deprecated", async () => {
    assert.equal((await w.refused("template.deprecate", "plain")).code, "invalid-request");
    assert.equal((await w.refused("template.deprecate", "plain@9.9.9")).code, "not-found");
    await w.register(plainYaml("2.0.0"), { draft: true });
    assert.equal((await w.refused("template.deprecate", "plain@2.0.0")).code, "conflict");
  });
});

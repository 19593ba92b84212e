import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { embeddedAuthority, embeddedKeeper } from "../src/adapters/secrets/embedded/index.ts";
import type { CertificateOrder } from "../src/ports/certificates.ts";
import { testAuthority } from "../src/testing/authority-contract.ts";
import { createWorld, type World } from "./support/world.ts";

const execute = promisify(execFile);

describe("the embedded authority", () => {
  let world: World;
  let folder: string;
  before(async () => {
    world = await createWorld({ executors: [], start: false });
    folder = await mkdtemp(join(tmpdir(), "glasshouse-authority-"));
  });
  after(async () => {
    await world.close();
    await rm(folder, { recursive: true });
  });
  const open = () => embeddedAuthority(world.deps);

  testAuthority({
    open: async () => open(),
    keeper: async () => embeddedKeeper(world.deps.sealer),
    isRevoked: async (serial) => (await revoked()).includes(serial),
  });

  /** What openssl reads in the list that the authority gives out. */
  async function revoked(): Promise<readonly string[]> {
    const file = join(folder, "crl.pem");
    const view = await open().view(AbortSignal.timeout(10_000));
    await writeFile(file, view?.revocations ?? "");
    const { stdout } = await execute("openssl", ["crl", "-in", file, "-noout", "-text"]);
    return [...stdout.matchAll(/Serial Number: (?<serial>[0-9A-F]+)/gu)].map(
      ({ groups }) => groups?.["serial"]?.toLowerCase() ?? "",
    );
  }

  test("openssl trusts what it issued, and no more once it is revoked", async () => {
    const authority = open();
    const { made, facts } = await authority.issue(order);
    const parts = await embeddedKeeper(world.deps.sealer).open({
      ...made,
      id: "sec_1",
      environmentId: order.environmentId,
      name: "certificate/shop/web",
      keeper: "embedded",
      createdAt: "",
    });
    const verify = async (): Promise<string> => {
      const view = await authority.view(order.signal);
      const paths = ["ca.pem", "crl.pem", "leaf.pem"].map((name) => join(folder, name));
      const texts = [view?.certificate, view?.revocations, parts["chain"]];
      for (const [at, path] of paths.entries()) await writeFile(path, texts[at] ?? "");
      const [ca = "", crl = "", leaf = ""] = paths;
      const purpose = ["-purpose", "sslserver", "-verify_hostname", "shop.example.com"];
      const args = ["verify", "-x509_strict", "-CAfile", ca, "-CRLfile", crl, "-crl_check"];
      return execute("openssl", [...args, ...purpose, leaf]).then(
        ({ stdout }) => stdout,
        (error: unknown) => String(error),
      );
    };
    assert.match(await verify(), /OK/u);
    await authority.revoke([{ ...facts, keeper: "embedded" }], order.signal);
    assert.match(await verify(), /certificate revoked/u);
  });

  test("of several that begin at once the first to be stored stays, and all issue under it", async () => {
    const other = await createWorld({ executors: [], start: false });
    try {
      const signal = AbortSignal.timeout(10_000);
      const views = await Promise.all(
        Array.from({ length: 4 }, () => embeddedAuthority(other.deps).view(signal)),
      );
      assert.equal(new Set(views.map((view) => view?.certificate)).size, 1);
    } finally {
      await other.close();
    }
  });

  test("one that is there only for what it did before shows itself only when it did something", async () => {
    const other = await createWorld({ executors: [], start: false });
    try {
      const former = embeddedAuthority({ ...other.deps, isFormer: true });
      assert.equal(await former.view(order.signal), null);
      await former.issue(order);
      assert.notEqual(await former.view(order.signal), null);
    } finally {
      await other.close();
    }
  });

  test("those that are over leave the list", async () => {
    const past = {
      serial: "51".repeat(16),
      notAfter: "2020-01-01T00:00:00.000Z",
      keeper: "embedded",
    };
    await open().revoke([past], order.signal);
    assert.ok(!(await revoked()).includes(past.serial));
  });

  test("its key is nowhere in the store in plain", async () => {
    await open().view(order.signal);
    const kept = await world.store.read((tx) => tx.certificates.authority("embedded"));
    const key = world.deps.sealer.open(
      kept?.sealed ?? new Uint8Array(),
      "certificate authority/key",
    );
    assert.ok(key.length > 100);
    assert.ok(!Buffer.from(kept?.sealed ?? []).includes(key));
    assert.ok(!Buffer.from(kept?.sealed ?? []).includes(Buffer.from(key, "base64")));
  });
});

const order: CertificateOrder = {
  environmentId: "env_1",
  template: "shop",
  name: "web",
  wish: {
    role: "web",
    commonName: "shop.example.com",
    altNames: ["shop.example.com", "spiffe://example.com/shop"],
    ttlMs: 7_200_000,
    renewBeforeMs: 3_600_000,
  },
  version: 1,
  previous: null,
  signal: AbortSignal.timeout(120_000),
};

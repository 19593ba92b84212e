import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import type { VaultLogin } from "../../../src/clients/vault/login.ts";
import { lookAtVault } from "../../../src/clients/vault/status.ts";
import type { VaultSession } from "../../../src/clients/vault/session.ts";
import { listenOnLoopback } from "../../support/loopback.ts";
import { Vault } from "../../support/vault.ts";
import { vaultKind, vaultSkip } from "../../support/vault-program.ts";
import { byToken, openSession } from "../../support/vault-session.ts";

const selfPath = "auth/token/lookup-self";
const podSchema = z.object({
  data: z.object({ meta: z.object({ service_account_name: z.string() }) }),
});
const selfSchema = z.object({ data: z.object({ id: z.string(), ttl: z.number() }) });
const idSchema = z.object({ data: z.object({ role_id: z.string() }) });
const secretSchema = z.object({ data: z.object({ secret_id: z.string() }) });
const wrappedSchema = z.object({ wrap_info: z.object({ token: z.string() }) });

describe("a session with Vault", { skip: vaultSkip }, () => {
  let vault: Vault;
  before(async () => {
    vault = await Vault.start({ tls: true });
    await vault.policy("reader", 'path "secret/*" { capabilities = ["read", "create"] }');
    await vault.request("POST", "sys/auth/approle", { type: "approle" });
    await vault.request("POST", "auth/approle/role/glasshouse", {
      token_policies: ["reader"],
      token_ttl: "4s",
      token_max_ttl: "8s",
      secret_id_num_uses: 0,
    });
  });
  after(() => vault.close());

  async function appRole(
    more: Partial<VaultLogin & { kind: "approle" }> = {},
  ): Promise<VaultLogin> {
    const role = "auth/approle/role/glasshouse";
    const { data } = idSchema.parse(await vault.request("GET", `${role}/role-id`));
    const made = secretSchema.parse(await vault.request("POST", `${role}/secret-id`));
    return {
      kind: "approle",
      mount: "approle",
      wrapped: false,
      roleId: () => Promise.resolve(data.role_id),
      secretId: () => Promise.resolve(made.data.secret_id),
      ...more,
    };
  }

  test("logs in once with AppRole however many ask, and revokes its token at the end", async () => {
    const { session } = openSession({ url: vault.url, login: await appRole() });
    const tokens = await Promise.all([self(session), self(session), self(session)]);
    assert.equal(new Set(tokens).size, 1);
    assert.equal(session.logins, 1);
    await session.close();
    const [token] = tokens;
    const known = await vault.send("POST", "auth/token/lookup", { body: { token } });
    assert.equal(known.status, 403, "the token lives on");
  });

  test("renews its token at two thirds of its life, and logs in anew at the end of what it may live", async () => {
    const { session } = openSession({ url: vault.url, login: await appRole() });
    const first = await self(session);
    await sleep(5_000);
    assert.equal(await self(session), first, "it was not renewed");
    await sleep(5_500);
    assert.notEqual(await self(session), first);
    assert.ok(session.logins >= 2);
    await session.close();
  });

  test("logs in anew when its token was revoked, and does what was asked", async () => {
    const { session } = openSession({ url: vault.url, login: await appRole() });
    const token = await self(session);
    await vault.request("POST", "auth/token/revoke", { token });
    assert.notEqual(await self(session), token);
    assert.equal(session.logins, 2);
    await session.close();
  });

  test("tells a token that may not from one that is over", async () => {
    const { session } = openSession({ url: vault.url, login: await appRole() });
    const call = { method: "GET", path: "sys/policies/acl/reader", repeatable: true } as const;
    await assert.rejects(session.call(call), /denies this/u);
    assert.equal(session.logins, 1);
    await session.close();
  });

  test("unwraps a secret-id once and keeps it for later logins", async () => {
    const response = await fetch(`${vault.url}/v1/auth/approle/role/glasshouse/secret-id`, {
      method: "POST",
      headers: { "x-vault-token": vault.root, "x-vault-wrap-ttl": "60s" },
    });
    const { wrap_info: wrap } = wrappedSchema.parse(await response.json());
    const login = await appRole({ wrapped: true, secretId: () => Promise.resolve(wrap.token) });
    const { session } = openSession({ url: vault.url, login });
    const token = await self(session);
    await vault.request("POST", "auth/token/revoke", { token });
    await self(session);
    assert.equal(session.logins, 2);
    await session.close();
    const stolen = openSession({ url: vault.url, login });
    await assert.rejects(self(stolen.session), /wrapping token/u);
    await stolen.session.close();
  });

  test("refuses an unknown secret-id with Vault's words", async () => {
    const login = await appRole({ secretId: () => Promise.resolve("none") });
    const { session } = openSession({ url: vault.url, login });
    await assert.rejects(self(session), /invalid.*secret id/iu);
    await session.close();
  });

  test("logs in with the service account of a pod", async () => {
    // What Kubernetes answers when Vault asks it who the bearer of a token is.
    const reviews: string[] = [];
    const kubernetes = createServer((request, response) => {
      reviews.push(request.url ?? "");
      request.resume();
      response.setHeader("content-type", "application/json");
      const user = {
        username: "system:serviceaccount:tools:glasshouse",
        uid: "u1",
        groups: ["system:serviceaccounts"],
      };
      const status = { authenticated: true, user, audiences: ["vault"] };
      response.statusCode = 201;
      response.end(
        JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", status }),
      );
    });
    const port = await listenOnLoopback(kubernetes);
    try {
      await vault.request("POST", "sys/auth/kubernetes", { type: "kubernetes" });
      await vault.request("POST", "auth/kubernetes/config", {
        kubernetes_host: `http://127.0.0.1:${port}`,
        token_reviewer_jwt: jwt(),
        disable_local_ca_jwt: true,
        // OpenBao wants one, though nothing is encrypted here.
        kubernetes_ca_cert: await readFile(vault.certificates?.authority ?? "", "utf8"),
      });
      await vault.request("POST", "auth/kubernetes/role/glasshouse", {
        bound_service_account_names: "glasshouse",
        bound_service_account_namespaces: "tools",
        token_policies: ["reader"],
      });
      const login: VaultLogin = {
        kind: "kubernetes",
        mount: "kubernetes",
        role: "glasshouse",
        jwt: () => Promise.resolve(jwt()),
      };
      const { session } = openSession({ url: vault.url, login });
      const answer = await session.call({ method: "GET", path: selfPath, repeatable: true });
      const { meta } = podSchema.parse(JSON.parse(answer.body.toString("utf8"))).data;
      assert.equal(meta.service_account_name, "glasshouse");
      assert.ok(reviews.some((url) => url.includes("tokenreviews")));
      await session.close();
    } finally {
      kubernetes.close();
    }
  });

  test("takes a token of a file, renews it, and leaves it alive", async () => {
    const token = await vault.token(["reader"], { ttl: "3s", renewable: true });
    const file = join(vault.directory, "token");
    await writeFile(file, token);
    const login: VaultLogin = { kind: "token", token: () => readFile(file, "utf8") };
    const { session } = openSession({ url: vault.url, login });
    assert.equal(await self(session), token);
    await sleep(4_000);
    assert.equal(await self(session), token);
    await session.close();
    assert.equal((await vault.send("GET", "auth/token/lookup-self", { token })).status, 200);
  });

  test("speaks TLS with the authority that it is given, and with no other", async () => {
    const { certificates } = vault;
    assert.ok(certificates !== null);
    const ca = await readFile(certificates.authority, "utf8");
    const good = openSession({ url: vault.tlsUrl, login: byToken(vault.root), ca });
    assert.match((await lookAtVault(good, AbortSignal.timeout(5_000))).version, /^\d/u);
    await good.session.close();
    const other = openSession({ url: vault.tlsUrl, login: byToken(vault.root) });
    await assert.rejects(lookAtVault(other, AbortSignal.timeout(5_000)), /cannot be reached/u);
    await other.session.close();
  });

  test(
    "keeps to its namespace, where there are any",
    { skip: vaultKind === "vault" && "Vault has namespaces in its Enterprise edition only" },
    async () => {
      await vault.request("POST", "sys/namespaces/team");
      await vault.request("POST", "team/sys/mounts/secret", {
        type: "kv",
        options: { version: "2" },
      });
      await vault.request("POST", "team/sys/auth/approle", { type: "approle" });
      await vault.request("PUT", "team/sys/policies/acl/reader", {
        policy: 'path "secret/data/*" { capabilities = ["create", "read"] }',
      });
      const role = "team/auth/approle/role/glasshouse";
      await vault.request("POST", role, { token_policies: ["reader"] });
      const { role_id: roleId } = idSchema.parse(
        await vault.request("GET", `${role}/role-id`),
      ).data;
      const made = secretSchema.parse(await vault.request("POST", `${role}/secret-id`));
      const login = await appRole({
        roleId: () => Promise.resolve(roleId),
        secretId: () => Promise.resolve(made.data.secret_id),
      });
      const inside = openSession({ url: vault.url, login, namespace: "team" });
      const path = "secret/data/here";
      const body = { data: { value: "of the team" } };
      await inside.session.call({ method: "POST", path, body, repeatable: true });
      const read = await inside.session.call({ method: "GET", path, repeatable: true });
      assert.match(read.body.toString("utf8"), /of the team/u);
      await lookAtVault(inside, AbortSignal.timeout(5_000));
      await inside.session.close();
      assert.equal((await vault.send("GET", "secret/data/here")).status, 404);
      assert.equal((await vault.send("GET", "team/secret/data/here")).status, 200);
      const outside = openSession({ url: vault.url, login });
      await assert.rejects(self(outside.session), /invalid role/u);
      await outside.session.close();
    },
  );

  test("says that it is sealed, and goes on when it is not", async () => {
    const parts = openSession({ url: vault.url, login: byToken(vault.root) });
    await vault.seal();
    await assert.rejects(lookAtVault(parts, AbortSignal.timeout(5_000)), /Vault is sealed/u);
    await vault.unseal();
    await lookAtVault(parts, AbortSignal.timeout(5_000));
    await parts.session.close();
  });
});

/** A token as Kubernetes gives one; nobody checks its signature here. */
function jwt(): string {
  const claims = {
    iss: "kubernetes/serviceaccount",
    aud: ["vault"],
    iat: Math.floor(Date.now() / 1_000) - 60,
    nbf: Math.floor(Date.now() / 1_000) - 60,
    exp: Math.floor(Date.now() / 1_000) + 600,
    "kubernetes.io": {
      namespace: "tools",
      serviceaccount: { name: "glasshouse", uid: "u1" },
    },
    sub: "system:serviceaccount:tools:glasshouse",
  };
  return `${part({ alg: "RS256", typ: "JWT" })}.${part(claims)}.${Buffer.alloc(256).toString("base64url")}`;
}

async function self(session: VaultSession): Promise<string> {
  const call = { method: "GET", path: selfPath, repeatable: true } as const;
  const { body } = await session.call(call);
  return selfSchema.parse(JSON.parse(body.toString("utf8"))).data.id;
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

import { z } from "zod";
import type { Vault } from "./vault.ts";

const keysSchema = z.object({ data: z.object({ keys: z.array(z.string()) }) });
const certificateSchema = z.object({
  data: z.object({ certificate: z.string(), revocation_time: z.int() }),
});

/** An engine at `pki` with a root of its own, and the role `web` for any name. */
export async function makePki(vault: Vault): Promise<void> {
  await vault.request("POST", "sys/mounts/pki", {
    type: "pki",
    config: { max_lease_ttl: "87600h" },
  });
  const root = { common_name: "Test root", ttl: "87600h", key_type: "ec" };
  await vault.request("POST", "pki/root/generate/internal", root);
  await makeRole(vault, "web");
}

const requestSchema = z.object({ data: z.object({ csr: z.string() }) });
const signedSchema = z.object({
  data: z.object({ certificate: z.string(), issuing_ca: z.string() }),
});

/** An engine at `inner` whose authority is one below the root of `pki`, with the role `web`. */
export async function makeInnerPki(vault: Vault): Promise<void> {
  await vault.request("POST", "sys/mounts/inner", {
    type: "pki",
    config: { max_lease_ttl: "43800h" },
  });
  const common = { common_name: "Test authority between", ttl: "43800h" };
  const asked = await vault.request("POST", "inner/intermediate/generate/internal", {
    ...common,
    key_type: "ec",
  });
  const { csr } = requestSchema.parse(asked).data;
  const signed = await vault.request("POST", "pki/root/sign-intermediate", { ...common, csr });
  const { certificate, issuing_ca: root } = signedSchema.parse(signed).data;
  const both = `${certificate}\n${root}`;
  await vault.request("POST", "inner/intermediate/set-signed", { certificate: both });
  await makeRole(vault, "web", {}, "inner");
}

// eslint-disable-next-line max-params
export async function makeRole(
  vault: Vault,
  name: string,
  more: object = {},
  mount = "pki",
): Promise<void> {
  await vault.request("POST", `${mount}/roles/${name}`, {
    allow_any_name: true,
    allow_ip_sans: true,
    allowed_uri_sans: "*",
    key_type: "ec",
    key_bits: 256,
    max_ttl: "720h",
    ...more,
  });
}

export interface IssuedByVault {
  readonly serial: string;
  readonly certificate: string;
  readonly revoked: boolean;
}

/** All that the engine has issued whose text fits, its root left out. */
export async function issuedBy(
  vault: Vault,
  fits: (certificate: string) => boolean = () => true,
): Promise<readonly IssuedByVault[]> {
  const { data } = keysSchema.parse(await vault.request("LIST", "pki/certs"));
  const all: IssuedByVault[] = [];
  for (const key of data.keys) {
    const found = certificateSchema.parse(await vault.request("GET", `pki/cert/${key}`)).data;
    const { certificate, revocation_time: revokedAt } = found;
    const serial = key.replaceAll(/[:-]/gu, "").toLowerCase();
    if (fits(certificate)) all.push({ serial, certificate, revoked: revokedAt !== 0 });
  }
  return all;
}

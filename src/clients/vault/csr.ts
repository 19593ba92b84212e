// The library resolves its algorithms with a container that wants this polyfill to be there first.
// eslint-disable-next-line import/no-unassigned-import
import "reflect-metadata";
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  type webcrypto,
} from "node:crypto";
import { promisify } from "node:util";
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from "@peculiar/x509";
import type { PkiRole, RequestedNames } from "./pki.ts";
import { GlasshouseError } from "../../domain/errors.ts";

// Loaded late: the library takes longer to load than a server without certificates should wait.

const generate = promisify(generateKeyPair);
const curves: Readonly<Record<number, string>> = {
  0: "P-256",
  256: "P-256",
  384: "P-384",
  521: "P-521",
};
const curveNames: Readonly<Record<string, string>> = {
  prime256v1: "P-256",
  secp384r1: "P-384",
  secp521r1: "P-521",
};

/** A new key of the kind that the role signs for, PKCS #8 in PEM. Errors: `conflict` for a kind that cannot be made here. */
export async function newKey({ keyType, keyBits }: PkiRole): Promise<string> {
  const { privateKey } = await pairOf(keyType, keyBits);
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

async function pairOf(type: string, bits: number): Promise<{ readonly privateKey: KeyObject }> {
  if (type === "rsa") return generate("rsa", { modulusLength: bits === 0 ? 2_048 : bits });
  if (type === "ed25519") return generate("ed25519");
  const namedCurve = type === "any" ? "P-256" : type === "ec" ? curves[bits] : undefined;
  if (namedCurve !== undefined) return generate("ec", { namedCurve });
  throw new GlasshouseError(
    "conflict",
    `The role of Vault's PKI engine wants a key of ${bits} bits of type ${type}, which cannot be made here: let it take rsa, ed25519, or ec of 256, 384 or 521 bits.`,
  );
}

/** A signing request for these names under this key, in PEM. */
export async function requestOf(
  key: string,
  { commonName, altNames }: RequestedNames,
): Promise<string> {
  const privateKey = createPrivateKey(key);
  const algorithm = algorithmOf(privateKey);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [commonName] }],
    keys: {
      privateKey: privateKey.toCryptoKey(algorithm, false, ["sign"]),
      publicKey: createPublicKey(privateKey).toCryptoKey(algorithm, true, ["verify"]),
    },
    signingAlgorithm: algorithm,
    extensions: altNames.length === 0 ? [] : [new SubjectAlternativeNameExtension([...altNames])],
  });
  return request.toString("pem");
}

function algorithmOf({
  asymmetricKeyType: type,
  asymmetricKeyDetails: details,
}: KeyObject): webcrypto.RsaHashedImportParams & webcrypto.EcKeyImportParams {
  const hash = "SHA-256";
  if (type === "rsa") return { name: "RSASSA-PKCS1-v1_5", hash, namedCurve: "" };
  if (type === "ed25519") return { name: "Ed25519", hash, namedCurve: "" };
  return { name: "ECDSA", hash, namedCurve: curveNames[details?.namedCurve ?? ""] ?? "P-256" };
}

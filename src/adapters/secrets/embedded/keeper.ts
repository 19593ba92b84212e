import { randomBytes } from "node:crypto";
import { z } from "zod";
import { GlasshouseError } from "../../../domain/errors.ts";
import { ownedSecretName, secretCharsets } from "../../../domain/secret.ts";
import { sealContext } from "../../../domain/value.ts";
import { randomText } from "../../../lib/random-text.ts";
import type { SecretKeeper, SecretParts, SecretSealer } from "../../../ports/secrets.ts";

/**
 * Values are made here and kept sealed in the store: they exist nowhere else, so one whose transaction was not committed has
 * never been seen, and making it again is the first time.
 */
export function embeddedKeeper(sealer: SecretSealer): SecretKeeper {
  return {
    name: "embedded",
    isOutside: false,
    async make({ environmentId, template, name, declaration }) {
      const { policy, from } = declaration;
      if (policy !== undefined || from !== undefined)
        throw new GlasshouseError(
          "not-available",
          `The secret ${name} is ${from === undefined ? "made by a password policy" : "a value"} of Vault, and this server has none: set vault.address.`,
        );
      const plain = randomText(
        declaration.length,
        secretCharsets[declaration.charset],
        randomBytes,
      );
      const context = sealContext(
        environmentId,
        ownedSecretName({ template, name, kind: "secret" }),
      );
      return { sealed: sealer.seal(plain, context), fingerprint: sealer.fingerprint(plain) };
    },
    async open({ sealed, environmentId, name }) {
      const plain = sealer.open(sealed, sealContext(environmentId, name));
      return name.startsWith("certificate/") ? parsed(plain) : { value: plain };
    },
    async remove() {
      // The rows go in the transaction that records it.
    },
  };
}

const partsSchema = z.record(z.string(), z.string());

function parsed(text: string): SecretParts {
  return partsSchema.parse(JSON.parse(text));
}

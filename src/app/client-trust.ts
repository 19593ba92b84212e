import { readFileSync } from "node:fs";
import { GlasshouseError } from "../domain/errors.ts";
import type { Trust } from "./secure-fetch.ts";

/** Variables that name files in PEM: whom to trust when a server is called, and what to show it. */
const variables = {
  ca: "GLASSHOUSE_CA",
  cert: "GLASSHOUSE_CLIENT_CERTIFICATE",
  key: "GLASSHOUSE_CLIENT_KEY",
} as const;

/** Reads what the environment names, now. Errors: `invalid-configuration` for a file that cannot be read. */
export function clientTrust(env: Readonly<Record<string, string | undefined>>): Trust {
  const { ca, cert, key } = variables;
  return { ...read("ca", env[ca]), ...read("cert", env[cert]), ...read("key", env[key]) };
}

function read(part: keyof typeof variables, path: string | undefined): Trust {
  if (path === undefined || path === "") return {};
  try {
    return { [part]: readFileSync(path, "utf8") };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GlasshouseError(
      "invalid-configuration",
      `${variables[part]} names a file that cannot be read: ${reason}.`,
      { cause },
    );
  }
}

/**
 * Why a certificate, or TLS as such, kept a client from a server, and the way out; null when it was something else. `url` is whom it
 * called.
 */
export function trustProblem(error: unknown, url: URL): string | null {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(inner instanceof Error)) return null;
  const code = "code" in inner && typeof inner.code === "string" ? inner.code : "";
  const own = problems[code];
  // What OpenSSL says; Node adds what it would do.
  if (own !== undefined) return own(url, { message: inner.message.split(";")[0] ?? "", inner });
  if (/^(?:ERR_SSL_|ERR_TLS_|ERR_OSSL_|EPROTO$)/u.test(code))
    return `${url.origin} could not be spoken to in TLS (${code}: ${inner.message.trim()})`;
  return null;
}

type Explain = (url: URL, said: { readonly message: string; readonly inner: Error }) => string;

const untrusted: Explain = (url, { message }) =>
  `the certificate of ${url.origin} is of an authority that is not trusted here (${message}). Name the file of that authority with GLASSHOUSE_CA`;

const inClear: Explain = (url) =>
  `what listens at ${url.host} does not speak TLS. Its address begins with http://`;

const wantsOurs: Explain = (url, { message }) =>
  `${url.origin} does not take the client's certificate, or wants one (${message.trim()}). Name yours with GLASSHOUSE_CLIENT_CERTIFICATE and GLASSHOUSE_CLIENT_KEY`;

const problems: Readonly<Record<string, Explain>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  CERT_SIGNATURE_FAILURE: untrusted,
  CERT_HAS_EXPIRED: (url) =>
    `the certificate of ${url.origin} has ended. The server takes a new one without a restart: \`glasshouse doctor\` on its machine says why it has none`,
  CERT_NOT_YET_VALID: (url) =>
    `the certificate of ${url.origin} is not good yet. Compare the clocks of both machines`,
  ERR_TLS_CERT_ALTNAME_INVALID: (url, { inner }) =>
    `the certificate of ${url.origin} is for ${namesIn(inner)}, not for ${url.hostname}. Call the server by a name of its certificate with --server, or have ${url.hostname} put into it (tls.names)`,
  ERR_SSL_WRONG_VERSION_NUMBER: inClear,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: inClear,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: wantsOurs,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: wantsOurs,
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: () =>
    "the key that GLASSHOUSE_CLIENT_KEY names does not belong to the certificate of GLASSHOUSE_CLIENT_CERTIFICATE",
};

/** Node puts the certificate that it refused beside the error. */
function namesIn(error: Error): string {
  const certificate: unknown = "cert" in error ? error.cert : null;
  if (typeof certificate !== "object" || certificate === null) return "other names";
  const names: unknown = "subjectaltname" in certificate ? certificate.subjectaltname : null;
  return typeof names === "string" ? names.replaceAll(/(?:DNS|IP Address):/gu, "") : "no name";
}

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { trustProblem } from "./client-trust.ts";

const url = new URL("https://lab.example.com:8443/api");

function failing(code: string, more: object = {}): Error {
  const inner = Object.assign(new Error(`it is ${code}`), { code, ...more });
  return new Error("fetch failed", { cause: inner });
}

const said = (code: string, more?: object): string => trustProblem(failing(code, more), url) ?? "";

describe("what kept a client from a server by TLS", () => {
  test("is said with the way out", () => {
    for (const code of ["SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"])
      assert.match(said(code), /lab\.example\.com:8443 is of an authority .*GLASSHOUSE_CA/u);
    assert.match(said("CERT_HAS_EXPIRED"), /has ended\..*glasshouse doctor/u);
    assert.match(said("CERT_NOT_YET_VALID"), /clocks/u);
    const cert = { subjectaltname: "DNS:a.example.com, IP Address:10.0.0.1" };
    assert.match(
      said("ERR_TLS_CERT_ALTNAME_INVALID", { cert }),
      /is for a\.example\.com, 10\.0\.0\.1, not for lab\.example\.com/u,
    );
    assert.match(said("ERR_SSL_WRONG_VERSION_NUMBER"), /begins with http:/u);
    assert.match(
      said("ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"),
      /GLASSHOUSE_CLIENT_CERTIFICATE/u,
    );
    assert.match(said("ERR_SSL_SOMETHING_ELSE"), /could not be spoken to in TLS/u);
  });

  test("is nothing where something else was in the way", () => {
    for (const other of [failing("ECONNREFUSED"), new Error("no"), "text", null])
      assert.equal(trustProblem(other, url), null);
  });
});

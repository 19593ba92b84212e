import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClientCertificate } from "../../../clients/postgres/logins.ts";
import { WayIn } from "./way-in.ts";

const limits = { connectMs: 1_000, statementMs: 1_000, lockMs: 1_000, idleInTransactionMs: 1_000 };
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

test("a certificate that is replaced before connections are followed is shown from the next connection on", async () => {
  let shown: ClientCertificate = { certificate: "first", key: "its key" };
  const certificates = { current: () => shown, watch: () => () => {} };
  // Nothing listens there: who is to connect counts, not that it does.
  const target = { url: "postgres://user@127.0.0.1:1/database?sslmode=require", limits };
  const wayIn = await WayIn.open({ target, certificates, log: quiet });
  const inForce = () => wayIn.identity.certificate?.certificate;
  await assert.rejects(wayIn.open(), /lost/u);
  assert.equal(inForce(), "first");
  shown = { certificate: "second", key: "its key" };
  await assert.rejects(wayIn.open(), /lost/u);
  assert.equal(inForce(), "second");
  await wayIn.close();
});

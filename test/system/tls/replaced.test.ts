import assert from "node:assert/strict";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { loadConfig } from "../../../src/app/config.ts";
import { certificateFindings } from "../../../src/app/doctor-certificate.ts";
import { signCertificate } from "../../support/certificates.ts";
import { lookDeps } from "../../support/look-deps.ts";
import { until } from "../../support/site.ts";
import { EventStream } from "../../support/stream.ts";
import { askWhile, put, shownSerial, TlsSite } from "../../support/tls-site.ts";

const replacements = 12;

describe("the certificate that is served from files", () => {
  let at: TlsSite;
  before(async () => {
    at = await TlsSite.open();
  });
  after(() => at.close());

  async function findings(): Promise<string> {
    const env = {
      GLASSHOUSE_TLS_CERTIFICATE: at.served.certificate,
      GLASSHOUSE_TLS_KEY: at.served.key,
    };
    const { config } = await loadConfig({ env, flags: {}, cwd: at.directory });
    const [found] = await certificateFindings(config, lookDeps(env));
    return `${found?.level} ${found?.found}`;
  }

  async function health(): Promise<string> {
    const { body } = await at.server.send("GET", "/health");
    return JSON.stringify(body);
  }

  test("is replaced again and again under requests and live events, and nobody notices", async () => {
    const replacing = (async () => {
      for (let n = 1; n <= replacements; n += 1) {
        const serial = await at.replace(`server${n}`);
        // The first ones are found by looking, the others are told of.
        if (n > 2) process.kill(at.server.pid, "SIGHUP");
        await until(
          () => shownSerial(at.port),
          (shown) => shown === serial,
          10_000,
        );
      }
    })();
    const stream = new EventStream([at.server.url], 0, { ca: at.ca });
    const of = { url: at.server.url, ca: at.ca };
    const [fresh, kept] = await Promise.all([
      askWhile({ ...of, keepAlive: false }, replacing),
      askWhile({ ...of, keepAlive: true }, replacing),
    ]);
    await replacing;
    const { ends } = stream.seen;
    await stream.close();
    assert.deepEqual([fresh.failed, kept.failed, ends], [[], [], []]);
    assert.ok(Math.min(fresh.asked, kept.asked) > 100, `${fresh.asked} and ${kept.asked} only`);
    const metrics = String((await at.server.send("GET", "/metrics")).body);
    assert.match(
      metrics,
      new RegExp(`tls_certificates_total\\{use="listen",outcome="taken"\\} ${replacements}\n`, "u"),
    );
    assert.match(metrics, /tls_certificate_expiry_seconds\{use="listen"\} 86\d\d\d/u);
    assert.match(await findings(), /^good for localhost, 127\.0\.0\.1, good until 20/u);
  });

  const broken: readonly (readonly [string, RegExp, () => Promise<void>])[] = [
    [
      "has the key of another one",
      /key does not belong to the certificate/u,
      () => copyFile(at.certificates.client.key, at.served.key),
    ],
    [
      "is no certificate",
      /certificate is none in PEM/u,
      () => copyFile(at.served.key, at.served.certificate),
    ],
    [
      "has ended",
      /ended on 20/u,
      async () => put(await signCertificate(tls(), "old", { days: -1 }), at.served),
    ],
    [
      "is for clients",
      /not for servers/u,
      async () => put(await signCertificate(tls(), "wrong", { usage: "clientAuth" }), at.served),
    ],
  ];
  const tls = (): string => join(at.directory, "tls");

  for (const [what, why, breakIt] of broken)
    test(`is not replaced by one that ${what}; health, metrics, log and doctor say why`, async () => {
      const serial = await at.replace("before");
      await until(
        () => shownSerial(at.port),
        (shown) => shown === serial,
        10_000,
      );
      const refused = at.server.output.split("is refused").length;
      await breakIt();
      assert.match(await until(health, (said) => said.includes("not replaced"), 10_000), why);
      assert.equal(await shownSerial(at.port), serial);
      assert.match(await findings(), why);
      assert.equal(at.server.output.split("is refused").length, refused + 1);
      const metrics = String((await at.server.send("GET", "/metrics")).body);
      assert.match(metrics, /use="listen",outcome="refused"\} [1-9]/u);
      const next = await at.replace("after");
      await until(
        () => shownSerial(at.port),
        (shown) => shown === next,
        10_000,
      );
      assert.doesNotMatch(await health(), /not replaced/u);
    });
});

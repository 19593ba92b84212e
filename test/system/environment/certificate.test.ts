import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { after as atEnd, before as atBegin, describe, test } from "node:test";
import { promisify } from "node:util";
import { z } from "zod";
import { assertClean, assertFilesClean, processTexts } from "../../support/canary.ts";
import {
  acted,
  certificateFiles,
  certificateTemplate,
  complaintsAboutKept,
  kept,
  serialOf,
} from "../../support/certificate-site.ts";
import { Site } from "../../support/site.ts";

const execute = promisify(execFile);
const program = join(import.meta.dirname, "../../../bin/glasshouse");
const authoritiesSchema = z.object({
  items: z.array(z.object({ certificate: z.string(), revocations: z.string() })),
});

const graphSchema = z.object({
  nodes: z.array(z.object({ id: z.string(), kind: z.string(), status: z.string().nullable() })),
  edges: z.array(z.object({ from: z.string(), to: z.string() })),
});

async function runCli(site: Site, args: readonly string[]): Promise<string> {
  const { stdout } = await execute(program, ["--server", site.server.url, ...args]);
  return stdout;
}

describe("certificates that a template declares, of the embedded authority", () => {
  let site: Site;
  const keys: string[] = [];
  atBegin(async () => {
    site = await Site.open({ env: { GLASSHOUSE_TELEMETRY_LEVEL: "debug" } });
    await site.register(certificateTemplate(site));
  });
  atEnd(() => site.close());

  /** The lines of a key that nobody could guess. */
  async function given(name: string): ReturnType<typeof kept> {
    const parts = await kept(site, name);
    keys.push(...parts.key.split("\n").filter((line) => line.length === 64));
    return parts;
  }

  test("are issued once for the names that groups gave, and handed to what uses them", async () => {
    await site.outside.write("hold");
    const command = await site.ask("POST", "/environments", {
      body: { name: "own", template: "tls" },
    });
    while ((await site.outside.read("own.acted")) === null) await sleep(40);
    const parts = await given("own");
    for (const { what, bytes } of await processTexts()) assertClean(what, bytes, keys);
    await site.outside.remove("hold");
    const run = await site.settled(command);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.deepEqual(complaintsAboutKept(parts), []);
    const issued = new X509Certificate(parts.certificate);
    assert.equal(issued.subject, "CN=own.example.com");
    assert.equal(
      issued.subjectAltName,
      "DNS:own.example.com, IP Address:10.0.0.1, DNS:api.own.example.com",
    );
    const lifeMs = issued.validToDate.getTime() - Date.now();
    assert.ok(lifeMs > 47 * 3_600_000 && lifeMs <= 48 * 3_600_000);
  });

  test("are shown with their names and end, never their key", async () => {
    const { certificates, secrets } = await site.environment("own");
    const [one] = certificates;
    assert.ok(one !== undefined && certificates.length === 1 && secrets.length === 0);
    const { certificate: pem } = await kept(site, "own");
    const issued = new X509Certificate(pem);
    assert.equal(one.serial, serialOf(pem));
    assert.equal(Date.parse(one.notAfter), issued.validToDate.getTime());
    assert.deepEqual(
      [one.name, one.template, one.version, one.keeper, one.commonName],
      ["web", "tls", 1, "embedded", "own.example.com"],
    );
    assert.equal(Date.parse(one.notAfter) - Date.parse(one.renewAt ?? ""), 16 * 3_600_000);
  });

  test("are counted in the metrics, and their authority is named by health and doctor", async () => {
    const metrics = await fetch(`${site.server.url}/metrics`).then((answer) => answer.text());
    assert.match(metrics, /^glasshouse_certificates\S* 1\b/mu);
    const [, left = ""] = /^glasshouse_certificate_expiry_seconds\S* (\d+)/mu.exec(metrics) ?? [];
    assert.ok(Number(left) > 47 * 3_600 && Number(left) <= 48 * 3_600, left);
    assert.match(
      JSON.stringify(await site.get("/health")),
      /certificates by the embedded authority/u,
    );
    const { stdout } = await execute(program, [
      "doctor",
      "--data",
      join(site.directory, "none"),
    ]).catch((error: unknown) => z.object({ stdout: z.string() }).parse(error));
    assert.match(stdout, /certificates are issued by the embedded authority/u);
  });

  test("are nodes of the graph, between the groups that they need and those that use them", async () => {
    const { nodes, edges } = graphSchema.parse(await site.get("/environments/own/graph"));
    const node = nodes.find(({ id }) => id === "certificates.web");
    assert.deepEqual([node?.kind, node?.status], ["certificate", "present"]);
    const around = edges.filter(({ from, to }) => from === node?.id || to === node?.id);
    assert.deepEqual(around, [
      { from: "host", to: "certificates.web" },
      { from: "certificates.web", to: "server" },
    ]);
  });

  test("stay as they are when nothing is asked of them", async () => {
    const before = await kept(site, "own");
    const run = await site.update("own", {});
    assert.equal(run.progress.skipped, run.progress.total, JSON.stringify(run.progress));
    assert.deepEqual(await kept(site, "own"), before);
  });

  test("a plan says what would be issued, and issues nothing", async () => {
    const plan = await site.plan("planned", { template: "tls" });
    const step = plan.steps.find(({ key }) => key === "certificate:tls/web");
    assert.equal(step?.reason, "new certificate; its names use outputs of host");
    assert.equal(step.mark, "deferred");
    assert.deepEqual(step.dependsOn, ["apply:tls/host"]);
    assert.deepEqual(step.changes, [{ address: "certificates.web", action: "create" }]);
    const server = plan.steps.find(({ key }) => key === "apply:tls/server");
    assert.match(server?.reason ?? "", /the certificate web/u);
    assert.deepEqual(server?.dependsOn.toSorted(), ["apply:tls/host", "certificate:tls/web"]);
  });

  test("are issued anew when a group gives another name, and the one before is revoked at the end", async () => {
    await acted(site, "own");
    const before = await given("own");
    await site.outside.write("own.name", "moved.example.com");
    await site.register(
      certificateTemplate(site, { version: "1.0.1", files: certificateFiles("moved") }),
    );
    const run = await site.update("own", { template: "tls@1.0.1" });
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const after = await given("own");
    assert.equal(new X509Certificate(after.certificate).subject, "CN=moved.example.com");
    assert.deepEqual(complaintsAboutKept(after), []);
    assert.notEqual(after.key, before.key);
    assert.deepEqual(await acted(site, "own"), ["server"]);
    const revoked = await revokedSerials();
    assert.ok(revoked.includes(serialOf(before.certificate)));
    assert.ok(!revoked.includes(serialOf(after.certificate)));
  });

  test("rotate issues another one at once, and runs what uses it again, and nothing else", async () => {
    const before = await given("own");
    const run = await site.settled(
      await site.ask("POST", "/environments/own/rotate", { body: { secrets: ["web"] } }),
    );
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.deepEqual(await acted(site, "own"), ["server"]);
    const after = await given("own");
    assert.notEqual(serialOf(after.certificate), serialOf(before.certificate));
    assert.equal((await site.environment("own")).certificates[0]?.version, 3);
    assert.ok((await revokedSerials()).includes(serialOf(before.certificate)));
  });

  test("the one before is not revoked while something uses it, and is once that has the new one", async () => {
    const before = await given("own");
    await site.outside.write("own.refuse");
    const failed = await site.settled(await site.ask("POST", "/environments/own/rotate"));
    assert.equal(failed.status, "failed");
    assert.ok(!(await revokedSerials()).includes(serialOf(before.certificate)));
    await site.outside.remove("own.refuse");
    const run = await site.update("own", {});
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const after = await given("own");
    assert.notEqual(serialOf(after.certificate), serialOf(before.certificate));
    assert.equal((await site.environment("own")).certificates[0]?.version, 4);
    assert.ok((await revokedSerials()).includes(serialOf(before.certificate)));
  });

  test("the authority is the same after a restart, and what it issues is trusted with what it gives out", async () => {
    const before = await authority();
    site.server.kill();
    await site.server.ended;
    await site.start();
    const after = await authority();
    assert.equal(after.certificate, before.certificate);
    await site.create("later", "tls@1.0.1");
    assert.equal((await given("later")).ca, before.certificate);
    const printed = await runCli(site, ["authority", "certificate"]);
    assert.equal(printed, before.certificate);
    assert.match(
      await runCli(site, ["env", "show", "later"]),
      /Certificates\nweb {2}later\.example\.com, version 1/u,
    );
  });

  test("are revoked and gone when the template declares them no longer, and with their environment", async () => {
    const { certificate: pem } = await given("own");
    await site.register({ name: "tls", version: "1.1.0", groups: { other: "o" } });
    const run = await site.update("own", { template: "tls@1.1.0" });
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.deepEqual((await site.environment("own")).certificates, []);
    assert.ok((await revokedSerials()).includes(serialOf(pem)));
    const later = await given("later");
    assert.equal((await site.destroy("later")).status, "succeeded");
    assert.ok((await revokedSerials()).includes(serialOf(later.certificate)));
  });

  test("a name that no certificate can bear fails the step and says so", async () => {
    await site.outside.write(
      "odd.name",
      "not a host name at all, nor anything that one could bear as its name",
    );
    const run = await site.create("odd", "tls@1.0.1");
    assert.equal(run.status, "failed");
    assert.match(
      run.failure?.message ?? "",
      /certificate web cannot be issued, because of its commonName/u,
    );
  });

  test("no answer, event, log and file of the server holds a key", async () => {
    const run = await site.create("logged", "tls@1.0.1");
    await given("logged");
    const texts: unknown[] = [
      await site.environment("logged"),
      await site.get("/authorities"),
      await site.get("/events?limit=500"),
    ];
    for (const path of ["runs", "resources", "graph", "plans"])
      texts.push((await site.send("GET", `/environments/logged/${path}`)).body);
    for (const step of await site.steps(run)) texts.push(step, await site.log(step));
    assert.match(await site.log(await site.step(run, "apply:tls/server")), /\(secret\)/u);
    for (const [at, text] of texts.entries())
      assertClean(`answer ${at}`, Buffer.from(JSON.stringify(text)), keys);
    await assertFilesClean(site.data, keys);
    assertClean("the server's output", Buffer.from(site.server.output), keys);
    assert.ok(keys.length >= 10);
  });

  async function authority(): Promise<{
    readonly certificate: string;
    readonly revocations: string;
  }> {
    const { items } = authoritiesSchema.parse(await site.get("/authorities"));
    const [first] = items;
    assert.ok(first !== undefined && items.length === 1);
    return first;
  }

  async function revokedSerials(): Promise<readonly string[]> {
    const file = join(site.directory, "crl.pem");
    await writeFile(file, (await authority()).revocations);
    const { stdout } = await execute("openssl", ["crl", "-in", file, "-noout", "-text"]);
    return [...stdout.matchAll(/Serial Number: (?<serial>[0-9A-F]+)/gu)].map(
      ({ groups }) => groups?.["serial"]?.toLowerCase() ?? "",
    );
  }
});

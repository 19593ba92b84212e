import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GlasshouseError } from "../domain/errors.ts";
import { dnsName, NamedServices, serviceUrl } from "./service-address.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

describe("an address that names a service in Consul", () => {
  test("keeps its scheme, user and path, whatever hosts take the service's place", () => {
    const named = serviceUrl("store.url", "postgres://u@consul:primary.db/shop?sslmode=require");
    assert.deepEqual(named?.name, { service: "db", tag: "primary" });
    assert.equal(
      named.at(["10.0.0.1:5432", "[::1]:5433"]),
      "postgres://u@10.0.0.1:5432,[::1]:5433/shop?sslmode=require",
    );
    assert.equal(dnsName(named.name), "primary.db.service.consul");
    const vault = serviceUrl("vault.address", "https://consul:vault");
    assert.equal(vault?.at(["10.0.0.1:8200"]), "https://10.0.0.1:8200");
    const bus = serviceUrl("bus.url", "amqp://guest:secret@consul:my-queue/v");
    assert.deepEqual(bus?.name, { service: "my-queue", tag: null });
  });

  test("is told from one of a host that is called consul, and from any other", () => {
    for (const url of [
      "postgres://u@consul:5432/db",
      "postgres://u@consul:5432,other:5432/db",
      "http://consul:8200",
      "http://consul",
      "postgres://consul:secret@db.example.com/shop",
      "sqlite",
    ])
      assert.equal(serviceUrl("store.url", url), null, url);
  });

  test("is refused in another form, by its key and the right one, and without what may be a password", () => {
    for (const url of [
      "amqp://guest:hunter2@consul:",
      "amqp://guest:hunter2@consul:a.b.c",
      "amqp://guest:hunter2@consul:queue,other:5672",
      "amqp://guest:hunter2@consul:queue:5672",
    ])
      assert.throws(
        () => serviceUrl("bus.url", url),
        (error: unknown) =>
          error instanceof GlasshouseError &&
          error.code === "invalid-configuration" &&
          /^bus\.url .*consul:service or consul:tag\.service/u.test(error.message) &&
          !error.message.includes("hunter2"),
        url,
      );
  });

  test("is refused where no Consul is configured, with the way out", async () => {
    const services = new NamedServices({ client: null, log: quiet });
    await assert.rejects(
      services.changingUrl("store.url", "postgres://u@consul:db/shop"),
      /store\.url names the service db in Consul, and consul\.address is not set/u,
    );
    assert.equal(await services.changingUrl("store.url", "postgres://u@h/shop"), null);
  });
});

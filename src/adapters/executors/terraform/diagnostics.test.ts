import assert from "node:assert/strict";
import { test } from "node:test";
import type { GlasshouseError } from "../../../domain/errors.ts";
import { asksForInit, errorFrom, leavesUnanswered } from "./diagnostics.ts";
import type { Diagnostic } from "./events.ts";

test("the message has what, why, where and on which object", () => {
  const range = { filename: "main.tf", start: { line: 3, column: 5 } };
  const error = from([problem("Bad thing", { detail: "It broke.", address: "a_b.x", range })]);
  assert.equal(error.message, "apply of web failed: Bad thing: It broke. (main.tf:3:5, a_b.x)");
  assert.deepEqual(error.details, [
    { message: "Bad thing: It broke. (main.tf:3:5, a_b.x)", place: "main.tf:3:5" },
  ]);
});

test("what may pass is transient: networks, registries, locks, throttling, servers' faults", () => {
  for (const text of [
    "Error acquiring the state lock",
    'Get "https://example.com": dial tcp: lookup example.com: no such host',
    "read tcp 10.0.0.1:1->10.0.0.2:443: read: connection reset by peer",
    "context deadline exceeded",
    "net/http: TLS handshake timeout",
    "unexpected status: 503",
    "googleapi: Error 429: Too many requests",
    "RequestLimitExceeded: slow",
    "Could not query provider registry for example.com/x/y",
  ]) {
    assert.equal(from([problem("Failed", { detail: text, address: "a_b.x" })]).code, "unavailable");
    assert.equal(from([], text).code, "unavailable", text);
  }
});

test("a mistake in the configuration is final, also beside a passing one", () => {
  const mistakes = [
    problem("Unsupported argument"),
    problem("Invalid value for variable"),
    problem("Incorrect attribute value type", { address: "a_b.x" }),
    problem("local-exec provisioner error", { address: "a_b.x", detail: "connection refused" }),
  ];
  for (const mistake of mistakes) {
    assert.equal(from([mistake]).code, "step-failed", mistake.summary);
    const passing = problem("x", { detail: "connection refused", address: "a_b.y" });
    assert.equal(from([passing, mistake]).code, "step-failed", mistake.summary);
  }
});

test("a provider's unclassed words about an object are tried again, a bounded number of times", () => {
  const error = from([problem("creating Thing: QuotaNotice", { address: "a_b.x" })]);
  assert.deepEqual([error.code, error.row.kind], ["provider-failed", "transient"]);
});

test("a stale plan is called that", () => {
  assert.equal(from([problem("Saved plan is stale")]).code, "plan-stale");
});

test("warnings are no reason, and without a diagnostic the program's own words are shown", () => {
  const error = from([{ severity: "warning", summary: "Old" }], "panic: boom");
  assert.equal(error.message, "apply of web failed: panic: boom");
});

test("secrets are masked in message and details, and very long texts are cut", () => {
  const detail = `token hush ${"x".repeat(9000)}`;
  const error = from([problem("Bad", { detail })]);
  assert.doesNotMatch(JSON.stringify([error.message, error.details]), /hush/u);
  assert.ok(error.message.length < 4100);
});

test("Terraform's wish for another init is understood", () => {
  assert.ok(asksForInit([problem("Module not installed")]));
  assert.ok(asksForInit([problem("Inconsistent dependency lock file")]));
  assert.ok(!asksForInit([problem("Unsupported argument")]));
  assert.ok(!asksForInit([{ severity: "warning", summary: "Module not installed" }]));
});

/** What Terraform may say of a provider that died during this call. */
function died(call: string): readonly Diagnostic[] {
  const name = `plugin6.(*GRPCProvider).${call}`;
  return [
    problem("Plugin did not respond", {
      detail: `The plugin encountered an error, and failed to respond to the ${name} call. The plugin logs may contain more details.`,
    }),
    problem("Request cancelled", { detail: `The ${name} request was cancelled.` }),
    problem("Plugin error", {
      detail: `The plugin returned an unexpected error from ${name}: rpc error: code = Internal desc = transport is closing`,
    }),
  ];
}

function problem(summary: string, more: Partial<Diagnostic> = {}): Diagnostic {
  return { severity: "error", summary, ...more };
}

function from(diagnostics: readonly Diagnostic[], text = ""): GlasshouseError {
  return errorFrom({ diagnostics, doing: "apply of web", text, redact });
}

function redact(text: string): string {
  return text.replaceAll("hush", "(secret)");
}

test("a provider that died in the middle of a change has left it unanswered; one that died while reading has not", () => {
  for (const one of died("ApplyResourceChange"))
    assert.equal(leavesUnanswered([problem("Bad thing"), one]), true, one.summary);
  for (const one of died("ReadResource"))
    assert.equal(leavesUnanswered([one, problem("Bad thing")]), false, one.summary);
});

test("a host that wants a login is no network that is down: it is final, and says who can help", () => {
  for (const text of [
    "Error: Failed to download module\nfatal: could not read Username for 'https://git.example.com': No such\ndevice or address",
    "Error: Failed to download module\nfatal: Authentication\nfailed for 'https://git.example.com/x.git/'",
    "Error: Error accessing remote module registry\nerror looking up module versions: 401\nUnauthorized.",
  ]) {
    const { code, message } = from([], text);
    assert.equal(code, "step-failed", text);
    assert.match(message, /executors\.terraform\.hosts/u);
  }
});

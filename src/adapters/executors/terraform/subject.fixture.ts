import { fileURLToPath } from "node:url";
import { detectIsolation } from "../../../clients/process/isolation.ts";
import type { SecretRef } from "../../../domain/value.ts";
import type { GroupCase } from "../../../testing/executor-group.ts";
import type { ExecutorSubject } from "../../../testing/executor-subject.ts";
import { createTerraformExecutor } from "./index.ts";

const executor = createTerraformExecutor({
  isolation: await detectIsolation(),
  environment: process.env,
  grants: () => ({}),
  hide: [],
  cliConfigFile: "/dev/null",
  log: { debug() {}, info() {}, warn() {}, error() {} },
});

/** Terraform or OpenTofu on PATH. Missing under CI it is a failure. */
export const engine = await executor.program().catch(() => null);
export const skip =
  engine === null && process.env["CI"] === undefined && "neither terraform nor tofu is on PATH";

/** The executor in its contract suite, with the built-in provider alone. Scripts get the world's path as an argument. */
export const subject: ExecutorSubject = {
  name: "terraform",
  skip,
  executor: () => Promise.resolve(executor),
  thing: (world, word) => ({
    settings: { source: "module", variables: { world, word } },
    files: { "module/main.tf": { text: thing } },
    outputs: ["word"],
  }),
  // The built-in provider has nothing outside the state that it could look at.
  tamper: null,
  processes: {
    module: fileURLToPath(import.meta.url),
    waiting: (world) =>
      running(world, null, [
        ': >"$1/held"',
        'setsid tail -f "$1/held" &',
        ': >"$1/up"',
        "while :; do sleep 0.05; done",
      ]),
    // Terraform kills what a provisioner started when it is stopped.
    stubborn: null,
    failing: (world, secret) => running(world, secret, ["exit 3"]),
    secretive: (world, secret) =>
      running(world, secret, [': >"$1/up"', 'while [ ! -e "$1/go-on" ]; do sleep 0.02; done']),
  },
};

const thing = `
variable "world" {}
variable "word" {}
resource "terraform_data" "thing" {
  input            = { world = var.world, word = var.word }
  triggers_replace = var.word
  provisioner "local-exec" {
    command = "printf %s '\${self.input.word}' > '\${self.input.world}/thing'"
  }
  provisioner "local-exec" {
    when    = destroy
    command = "rm '\${self.output.world}/thing'"
  }
}
output "word" { value = terraform_data.thing.input.word }
`;

/** A script as provisioner. A check that fails prints the secret: nobody told Terraform that it is one. */
function running(world: string, token: SecretRef | null, lines: readonly string[]): GroupCase {
  return {
    settings: { source: ".", variables: { world, token } },
    files: {
      "main.tf": { text: provisioner },
      run: { text: ["#!/bin/sh", ...lines, ""].join("\n"), mode: 0o755 },
    },
    outputs: token === null ? [] : ["password"],
  };
}

const provisioner = `
variable "world" {}
variable "token" {}
resource "terraform_data" "run" {
  provisioner "local-exec" {
    command = "\${path.module}/run '\${var.world}'"
  }
}
check "printed" {
  assert {
    condition     = var.token == null
    error_message = "The token is \${coalesce(var.token, "none")}."
  }
}
output "password" { value = var.token }
`;

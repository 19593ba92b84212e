import type { Command } from "commander";
import { leaf, type Context } from "./call.ts";

export function addCommand(program: Command, context: Context): void {
  const parent = program
    .command("authority")
    .summary("fetch what is to be trusted, and what is revoked")
    .description(
      "Who issues the certificates that templates declare: its certificate, for those who are to trust them, and its list of revoked ones.",
    );
  const at = { parent, context };
  leaf(
    at,
    {
      usage: "list",
      summary: "list who issues certificates",
      examples: ["authority list", "authority list -o json"],
    },
    async (call) => (await import("./authority-commands.ts")).list(call),
  );
  leaf(
    at,
    {
      usage: "certificate [name]",
      summary: "print the certificate that is to be trusted, in PEM",
      description:
        "Print the certificate that is to be trusted, in PEM: of the authority that issues new ones, unless another is named.",
      examples: ["authority certificate > ca.pem", "authority certificate embedded"],
    },
    async (call) => (await import("./authority-commands.ts")).certificate(call),
  );
  leaf(
    at,
    {
      usage: "revocations [name]",
      summary: "print the list of revoked certificates, in PEM",
      description:
        "Print the list of revoked certificates, in PEM: of the authority that issues new ones, unless another is named.",
      examples: ["authority revocations > crl.pem"],
    },
    async (call) => (await import("./authority-commands.ts")).revocations(call),
  );
}

import type { Command } from "commander";
import { leaf, option, type Context, type Leaf } from "./call.ts";
import { limitOption, queryOption } from "./options.ts";

export function addCommand(program: Command, context: Context): void {
  const parent = program
    .command("template")
    .summary("check, register and list templates")
    .description("Check, register and list templates.");
  const at = { parent, context };
  leaf(
    at,
    {
      usage: "lint <directory>",
      summary: "check a template without a server",
      examples: ["template lint templates/web-shop", "template lint . -o json"],
      local: true,
    },
    async (call) => (await import("./template-commands.ts")).lint(call),
  );
  leaf(
    at,
    {
      usage: "register <source>",
      summary: "register a version from a folder or a git repository",
      description:
        "Register a version from a local folder, which is uploaded, or from a git repository (https://…, file://…), which the server fetches and pins to a commit.",
      examples: [
        "template register templates/hello",
        "template register https://example.com/shop.git --ref v1.2.0 --path templates/shop",
        "template register . --draft",
      ],
      options: [
        option("--ref <ref>", "commit, tag or branch of the repository (its HEAD when left out)"),
        option("--path <folder>", "folder within the repository"),
        option("--draft", "its content may be replaced until it is activated"),
      ],
    },
    async (call) => (await import("./template-commands.ts")).register(call),
  );
  leaf(at, listLeaf, async (call) => (await import("./template-commands.ts")).list(call));
  leaf(
    at,
    {
      usage: "show <template>",
      summary: "show a version: parameters, groups, actions",
      examples: ["template show web-shop", "template show web-shop@1.0.0 -o json"],
    },
    async (call) => (await import("./template-commands.ts")).show(call),
  );
  for (const [verb, summary] of [
    ["activate", "let a draft, or a deprecated version, be used"],
    ["deprecate", "end new use of a version"],
  ] as const)
    leaf(
      at,
      {
        usage: `${verb} <template>`,
        summary,
        examples: [`template ${verb} web-shop@1.0.0`],
      },
      async (call) => (await import("./template-commands.ts")).move(call, verb),
    );
}

const listLeaf: Leaf = {
  usage: "list [name]",
  summary: "list templates, or the versions of one",
  examples: [
    "template list",
    "template list web-shop -o name",
    "template list -q 'tag:kind=sample'",
  ],
  options: [queryOption, limitOption],
};

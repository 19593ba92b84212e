import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { assertClean, assertFilesClean, processTexts } from "../../support/canary.ts";
import { makeCertificates } from "../../support/certificates.ts";
import { GitHost, makeRepository } from "../../support/git-host.ts";
import { listenOnLoopback } from "../../support/loopback.ts";
import { Site } from "../../support/site.ts";
import { testDirectory } from "../../support/server.ts";
import { terraformSkip } from "../../support/crash-terraform.ts";
import { engines } from "./engines.ts";

const gitToken = "canary-of-the-module-host";
const registryToken = "canary-of-the-registry";
const registryHost = "registry.example.com";
const secrets = [gitToken, registryToken];
const moduleText = `
variable "word" { type = string }
resource "terraform_data" "it" { input = var.word }
output "word" { value = terraform_data.it.output }
`;

/** A registry of modules that knows one, for whoever has its token; the module itself is at the git host. */
class Registry {
  readonly asked: (string | undefined)[] = [];
  readonly #server: Server;

  constructor(
    tls: { readonly key: Buffer; readonly cert: Buffer },
    of: { readonly moduleUrl: () => string },
  ) {
    this.#server = createServer(tls, (request, response) => {
      const url = request.url ?? "";
      const { authorization } = request.headers;
      this.asked.push(authorization);
      if (authorization !== `Bearer ${registryToken}`) {
        response.writeHead(401).end();
        return;
      }
      if (url.endsWith("/download")) {
        response.writeHead(204, { "x-terraform-get": of.moduleUrl() }).end();
        return;
      }
      response.end(JSON.stringify({ modules: [{ versions: [{ version: "1.0.0" }] }] }));
    });
  }

  async listen(): Promise<string> {
    return `127.0.0.1:${await listenOnLoopback(this.#server)}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

describe("modules from hosts that want a login", { skip: terraformSkip }, () => {
  let directory: Awaited<ReturnType<typeof testDirectory>>;
  let host: GitHost;
  let registry: Registry;
  let gitAddress: string;
  let env: Readonly<Record<string, string>>;
  const sites: Site[] = [];
  before(async () => {
    directory = await testDirectory();
    const { authority, server } = await makeCertificates(join(directory.path, "tls"));
    const tls = { cert: await readFile(server.certificate), key: await readFile(server.key) };
    host = new GitHost({ root: directory.path, token: gitToken, tls });
    gitAddress = await host.listen();
    registry = new Registry(tls, { moduleUrl: () => `git::https://${gitAddress}/module.git` });
    const work = join(directory.path, "work");
    const home = join(directory.path, "home");
    for (const path of [work, home]) await mkdir(path);
    await writeFile(join(work, "main.tf"), moduleText);
    makeRepository(work, join(directory.path, "module.git"));
    // What a machine's own helper would store of what it is told.
    await writeFile(join(home, ".gitconfig"), "[credential]\n  helper = store\n");
    // What the machine says of registries still counts beside the tokens.
    const services = `services = { "modules.v1" = "https://${await registry.listen()}/modules/" }`;
    await writeFile(join(home, ".terraformrc"), `host "${registryHost}" {\n  ${services}\n}\n`);
    await writeFile(join(directory.path, "git-token"), `${gitToken}\n`);
    await writeFile(join(directory.path, "registry-token"), `${registryToken}\n`);
    const settings = join(home, ".terraformrc");
    env = {
      HOME: home,
      TF_CLI_CONFIG_FILE: settings,
      GIT_SSL_CAINFO: authority,
      SSL_CERT_FILE: authority,
    };
  });
  after(async () => {
    for (const site of sites) await site.close();
    host.close();
    registry.close();
    await directory.remove();
  });

  async function open(program: string): Promise<Site> {
    const hosts = {
      [gitAddress]: { password: `file:${join(directory.path, "git-token")}` },
      [registryHost]: { token: `file:${join(directory.path, "registry-token")}` },
    };
    const file = join(directory.path, "glasshouse.yaml");
    const terraform = { program, templates: { granted: { hosts } } };
    await writeFile(file, JSON.stringify({ executors: { terraform } }));
    const site = await Site.open({ env, args: ["--config", file] });
    sites.push(site);
    const main = `
module "git" {
  source = "git::https://${gitAddress}/module.git"
  word   = "one"
}
module "registry" {
  source  = "${registryHost}/example/module/test"
  version = "1.0.0"
  word    = "two"
}
output "words" { value = "\${module.git.word} \${module.registry.word}" }
`;
    for (const name of ["granted", "ungranted"])
      await site.register({
        name,
        more: { outputs: { words: "${{ groups.it.outputs.words }}" } },
        groups: {
          it: {
            more: {
              executor: "terraform",
              with: { source: "./it" },
              outputs: ["words"],
              retry: { attempts: 1 },
            },
          },
        },
        files: { "it/main.tf": main },
      });
    return site;
  }

  for (const engine of engines) {
    test(`${engine.name} gets them by reference, and they are seen nowhere`, async () => {
      const site = await open(engine.path);
      let looked = 0;
      host.during = async () => {
        looked += 1;
        for (const { what, bytes } of await processTexts()) assertClean(what, bytes, secrets);
      };
      const run = await site.create("own", "granted");
      assert.equal(run.status, "succeeded", run.reason ?? "");
      assert.ok(looked >= 4, `${looked} looks`);
      assert.deepEqual((await site.environment("own")).outputs, { words: "one two" });
      assert.ok(registry.asked.includes(`Bearer ${registryToken}`));
      assert.equal((await site.destroy("own")).status, "succeeded");
      const texts: unknown[] = [await site.get("/events?limit=500")];
      for (const step of await site.steps(run)) texts.push(step, await site.log(step));
      assertClean("answers", Buffer.from(JSON.stringify(texts)), secrets);
      assertClean("the server's output", Buffer.from(site.server.output), secrets);
      for (const place of [site.directory, env["HOME"] ?? ""])
        await assertFilesClean(place, secrets);
    });

    test(`${engine.name} gets none for a template that is not granted them`, async () => {
      const site = sites.at(-1);
      assert.ok(site !== undefined);
      host.during = async () => {};
      host.asked.length = 0;
      registry.asked.length = 0;
      const run = await site.create("bare", "ungranted");
      assert.equal(run.status, "failed");
      assert.match(run.failure?.message ?? "", /wants a login.*executors\.terraform\.hosts/su);
      const asked = [...host.asked, ...registry.asked];
      assert.ok(asked.length > 0 && asked.every((one) => one === undefined));
    });
  }
});

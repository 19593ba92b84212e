import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { listenOnLoopback } from "./loopback.ts";

/** A host as people have them: git's own server program behind TLS, for whoever knows the token. */
export class GitHost {
  readonly #server: Server;
  readonly #root: string;
  readonly #token: string;
  readonly asked: (string | undefined)[] = [];
  /** Called while a request is worked on. */
  during: () => Promise<void> = async () => {};

  constructor(of: {
    readonly root: string;
    readonly token: string;
    readonly tls: { readonly key: Buffer; readonly cert: Buffer };
  }) {
    this.#root = of.root;
    this.#token = of.token;
    this.#server = createServer(
      of.tls,
      (request, response) => void this.#answer(request, response),
    );
  }

  async listen(): Promise<string> {
    return `127.0.0.1:${await listenOnLoopback(this.#server)}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { authorization } = request.headers;
    this.asked.push(authorization);
    const wanted = `Basic ${Buffer.from(`git:${this.#token}`).toString("base64")}`;
    if (authorization !== wanted) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="git"' }).end();
      return;
    }
    await this.during();
    const { pathname, searchParams } = new URL(request.url ?? "/", "https://localhost");
    const child = spawn("git", ["http-backend"], {
      env: {
        PATH: process.env["PATH"],
        GIT_PROJECT_ROOT: this.#root,
        GIT_HTTP_EXPORT_ALL: "1",
        REQUEST_METHOD: request.method,
        PATH_INFO: pathname,
        QUERY_STRING: searchParams.toString(),
        CONTENT_TYPE: request.headers["content-type"] ?? "",
        HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
        HTTP_GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
      },
    });
    request.pipe(child.stdin);
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    await once(child, "close");
    const output = Buffer.concat(chunks);
    const end = output.indexOf("\r\n\r\n");
    for (const line of output.subarray(0, end).toString("latin1").split("\r\n")) {
      const [name = "", value = ""] = line.split(/: (.*)/su);
      if (name === "Status") response.statusCode = Number(value.slice(0, 3));
      else response.setHeader(name, value);
    }
    response.end(output.subarray(end + 4));
  }
}

/** Makes a bare repository of a folder's files. */
export function makeRepository(folder: string, bare: string): void {
  const git = (...args: readonly string[]): void => {
    const who = ["-c", "user.name=T", "-c", "user.email=t@example.com"];
    execFileSync("git", [...who, ...args], { cwd: folder, stdio: "pipe" });
  };
  git("init", "--quiet", "--initial-branch=main");
  git("add", ".");
  git("commit", "--quiet", "--message=first");
  git("clone", "--quiet", "--bare", ".", bare);
}

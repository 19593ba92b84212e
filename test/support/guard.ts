import { spawn, type ChildProcess } from "node:child_process";

/** Reads `+pid` and `-pid` until its input ends, which it does when its owner is gone, and then kills what is left. */
const script = `
pids=' '
while read -r line; do
  case $line in
    +*) pids="$pids\${line#+} " ;;
    -*) pids="\${pids%% \${line#-} *} \${pids#* \${line#-} }" ;;
  esac
done
[ "$pids" = ' ' ] || kill -KILL $pids 2>/dev/null
rm -rf "$1"
`;

/**
 * Ends the servers of a test when the test's process ends in whichever way, also by a kill: a small shell program that is tied to
 * it by a pipe kills them and removes their directory.
 */
export class Guard {
  readonly #shell: ChildProcess;

  constructor(directory: string) {
    this.#shell = spawn("sh", ["-c", script, "guard", directory], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.#shell.unref();
    // A guard that was killed is no reason for a test to fail.
    this.#shell.stdin?.on("error", () => undefined);
  }

  /** Starts a program of the test's in a process group of its own; it is watched until it has ended. */
  spawn(program: string, args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
    const child = spawn(program, args, { env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    const { pid } = child;
    if (pid === undefined) return child;
    this.#tell(`+${pid}`);
    child.once("exit", () => this.#tell(`-${pid}`));
    return child;
  }

  /** Kills what is left and removes the directory. */
  async close(): Promise<void> {
    const ended = new Promise((resolve) => {
      this.#shell.once("close", resolve);
    });
    if (this.#shell.exitCode !== null || this.#shell.signalCode !== null) return;
    this.#shell.ref();
    this.#shell.stdin?.end();
    await ended;
  }

  #tell(line: string): void {
    this.#shell.stdin?.write(`${line}\n`);
  }
}

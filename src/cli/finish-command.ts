import { routeOf, type CommandView } from "../contract/rest.ts";
import type { Api } from "./api.ts";
import type { Call } from "./call.ts";
import { followRun, reportEnd, runOfCommand, waitChoice } from "./follow.ts";
import { printData } from "./output.ts";

/**
 * What commands that lead to a run have in common: say that it was accepted, or watch it to its end and print what became
 * of it. Returns the exit code.
 */
export async function finishCommand(
  call: Call,
  api: Api,
  of: {
    readonly command: CommandView;
    readonly title: string;
    /** What `-o name` prints. */
    readonly name: string;
    /** For a run that had been under way before: shows what happens from this time of the server on. */
    readonly since?: string;
    /** Prints the result after a good end, and may give another exit code. */
    readonly done: () => Promise<number | void>;
  },
): Promise<number> {
  const { wait, timeoutMs } = waitChoice(call);
  if (!wait) return printAccepted(call, of);
  const run = await runOfCommand(api, of.command);
  if (run === null) {
    call.terminal.err(`${of.title}: done, nothing had to be run.\n`);
    return (await of.done()) ?? 0;
  }
  const followed = await followRun(call, api, {
    run,
    title: of.title,
    timeoutMs,
    ...(of.since === undefined ? {} : { since: of.since }),
  });
  const code = reportEnd(call, run, followed);
  return code === 0 ? ((await of.done()) ?? 0) : code;
}

function printAccepted(
  call: Call,
  { command, title, name }: { command: CommandView; title: string; name: string },
): number {
  if (printData(call, command)) return 0;
  if (call.format === "name") {
    call.terminal.out(`${name}\n`);
    return 0;
  }
  const run = command.run === null ? "" : `; \`glasshouse run watch ${command.run}\` watches it`;
  call.terminal.out(`${title}: accepted as ${command.id}${run}\n`);
  return 0;
}

/** Sends a command by its type. */
export async function sendCommand(
  api: Api,
  body: { readonly type: string; readonly subject: string; readonly data?: object },
): Promise<CommandView> {
  return api.ask(routeOf("sendCommand"), { body });
}

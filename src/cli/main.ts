import { resolveQuickly } from "./quick-resolve.ts";

resolveQuickly();
const [{ runProgram }, { processTerminal }] = await Promise.all([
  import("./program.ts"),
  import("./terminal.ts"),
]);
process.exitCode = await runProgram(process.argv.slice(2), processTerminal());

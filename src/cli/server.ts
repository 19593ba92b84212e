import { Option, type Command } from "commander";
import { leaf, type Call, type Context } from "./call.ts";
import { configOf, configOptions } from "./config-options.ts";

export function addCommand(program: Command, context: Context): void {
  leaf(
    { parent: program.command("server"), context },
    {
      usage: "server",
      self: true,
      summary: "run the service",
      description:
        "Run the service until it is asked to stop. A first Ctrl-C or SIGTERM stops it gently: no new steps, running ones are interrupted and go on at the next start. A second one ends it at once.",
      examples: [
        "server",
        "server --listen 127.0.0.1:9090 --data /var/lib/glasshouse",
        "server --config glasshouse.yaml --telemetry-level debug",
      ],
      options: [
        new Option("--primary", "this cluster is the primary, as without it").hideHelp(),
        ...configOptions(),
      ],
      local: true,
      plain: true,
    },
    serve,
  );
}

async function serve(call: Call): Promise<number> {
  if (call.options.flag("primary"))
    call.terminal.err(
      "--primary says what is so without it: a server without a primary cluster's name is primary. Other clusters are not available in this version.\n",
    );
  const { config } = await configOf(call);
  const [{ listenAddress }, { refuseIdleRoles }] = await Promise.all([
    import("../app/config-listen.ts"),
    import("../app/config-roles.ts"),
  ]);
  // Refused before anything is opened.
  listenAddress(config);
  refuseIdleRoles(config);
  const [{ loadAndStart }, { serverLog }] = await Promise.all([
    import("../app/start.ts"),
    import("../app/log.ts"),
  ]);
  const log = serverLog(config);
  const asked = Promise.withResolvers<void>();
  let times = 0;
  call.terminal.onInterrupt(() => {
    times += 1;
    if (times > 1) process.exit(130);
    asked.resolve();
  });
  const server = await loadAndStart(config, log);
  call.terminal.out(`Glasshouse is ready at ${server.url}\n`);
  try {
    await Promise.race([asked.promise, server.failed]);
  } catch (error) {
    await server.stop();
    throw error;
  }
  log.info("stopping; a second signal ends it at once");
  await server.stop();
  return 0;
}

import { commandTypes } from "../domain/command.ts";
import { asGlasshouseError } from "../domain/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Metrics } from "../ports/telemetry.ts";
import type { accept } from "../services/command.ts";

export type Accept = (request: Parameters<typeof accept>[1]) => ReturnType<typeof accept>;

/** The way in for commands, with every answer counted: whatever they come by, they come through here. */
export function meterAccept(
  take: Accept,
  { metrics, clock }: { readonly metrics: Metrics; readonly clock: Pick<Clock, "now"> },
): Accept {
  const known: readonly string[] = commandTypes;
  return async (request) => {
    const cameAtMs = clock.now();
    // What is sent is not yet known to be a type, and a label takes few values.
    const type = known.includes(request.type) ? request.type : "unknown";
    try {
      const command = await take(request);
      const repeated = Date.parse(command.createdAt) < cameAtMs;
      const outcome = repeated ? "repeated" : "accepted";
      metrics.count("glasshouse_commands_total", { type, outcome });
      return command;
    } catch (error) {
      const outcome = asGlasshouseError(error).code;
      metrics.count("glasshouse_commands_total", { type, outcome });
      throw error;
    }
  };
}

import { Connection } from "rabbitmq-client";
import type { AmqpCredentials, AmqpSettings } from "./settings.ts";
import { within } from "./time-limit.ts";
import { codeOf } from "./topology.ts";

/** Whether a broker takes these credentials. Declares and sends nothing. Null: it does; else what it, or the way to it, said. */
export async function lookAtBroker(
  settings: AmqpSettings,
  credentials: AmqpCredentials,
  limitMs: number,
): Promise<string | null> {
  const connection = new Connection({
    hosts: [...settings.hosts],
    vhost: settings.vhost,
    username: credentials.username,
    password: credentials.password,
    ...(credentials.tls === null ? {} : { tls: { ...credentials.tls } }),
    connectionTimeout: limitMs,
    retryLow: limitMs,
  });
  try {
    await within(
      limitMs,
      () =>
        new Promise<void>((resolve, reject) => {
          connection.on("connection", resolve);
          connection.on("error", reject);
        }),
    );
    return null;
  } catch (error) {
    const words = error instanceof Error && error.message !== "" ? error.message : codeOf(error);
    return words === "" ? "no answer" : words;
  } finally {
    connection.unsafeDestroy();
  }
}

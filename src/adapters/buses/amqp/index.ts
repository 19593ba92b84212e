export { AmqpBus } from "./bus.ts";
export type { AmqpConnectionState, AmqpCredentials, AmqpSettings, AmqpTls } from "./settings.ts";

export { AmqpBus } from "./bus.ts";
export { lookAtBroker } from "./look.ts";
export type { AmqpConnectionState, AmqpCredentials, AmqpSettings, AmqpTls } from "./settings.ts";

/** What both sides have alike. */
export const rawQueue = "bench.raw";
export const eventsQueue = "bench.events";
export const echoQueue = "bench.echo";

/** As `bus.prefetch` is unless it is set. */
export const prefetch = 128;
/** Unconfirmed messages at once. */
export const windowSize = 512;

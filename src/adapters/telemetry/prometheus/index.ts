export { PrometheusMetrics } from "./metrics.ts";
export { observeProcess } from "./process.ts";

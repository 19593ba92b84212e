import type { Experiment } from "./experiment.ts";
import { intentExperiment, lookExperiment } from "./experiment-effect.ts";
import { boundExperiment, gentleExperiment, recoveryExperiment } from "./experiment-flow.ts";
import { commitExperiment, dedupeExperiment } from "./experiment-inbox.ts";
import { journalExperiment, leftOverExperiment } from "./experiment-judge.ts";
import { eventExperiment, fenceExperiment } from "./experiment-record.ts";
import { stateExperiment } from "./experiment-state.ts";

/** Every mechanism that is switched off once. */
export const experiments: readonly Experiment[] = [
  commitExperiment,
  dedupeExperiment,
  intentExperiment,
  lookExperiment,
  fenceExperiment,
  stateExperiment,
  eventExperiment,
  recoveryExperiment,
  gentleExperiment,
  boundExperiment,
  journalExperiment,
  leftOverExperiment,
];

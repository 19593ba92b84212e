/** Credentials that were made for one attempt of a step, known by what ends them. The credentials themselves are stored nowhere. */
export interface RecordedLoan {
  /** The lease. */
  readonly id: string;
  readonly environmentId: string;
  readonly stepId: string;
  /** Of the attempt. */
  readonly token: number;
  readonly madeAt: string;
}

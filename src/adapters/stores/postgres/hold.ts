import { statement } from "../sql/session.ts";

export interface Held {
  readonly sequence: number;
}

/** `for no key update` lets rows that refer to the environment be inserted by whoever need not hold it. */
export const hold = statement<Held>(
  `select "sequence" from "environment" where "id" = ? for no key update`,
);
export const tryToHold = statement<Held>(
  `select "sequence" from "environment" where "id" = ? for no key update skip locked`,
);

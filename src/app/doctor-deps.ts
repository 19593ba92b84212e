/** What a doctor's look is given in place of what a server has: it says nothing and waits for nothing. */

export const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** One look needs no renewal. */
export const stoppedClock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  id: () => "",
  after: () => nothing,
};

function nothing(): void {
  // What it has to say is in the finding.
}

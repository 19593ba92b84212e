/** Labels say what a worker offers beyond the ordinary: hardware, a network, a place. What asks for labels runs only where all of them are. */
export const labelPattern = /^[a-z0-9][a-z0-9._-]{0,62}$/u;

/** The most labels that a worker may offer, or a group may ask for. */
export const maximumLabels = 16;

/** Labels in the one form they are kept in: each once, sorted. */
export function sortedLabels(labels: Iterable<string>): readonly string[] {
  return [...new Set(labels)].sort((a, b) => (a < b ? -1 : 1));
}

/** Whether who offers these labels may take what asks for those. */
export function offersAll(offered: readonly string[], asked: readonly string[]): boolean {
  return asked.every((label) => offered.includes(label));
}

/** `runsOn` as a member that is left out when nothing is asked for, so that what knows no labels stays as it was. */
export function runsOnMember(asked: readonly string[] | undefined): {
  readonly runsOn?: readonly string[];
} {
  return asked === undefined || asked.length === 0 ? {} : { runsOn: asked };
}

/** At most so many workers' labels are told. */
const toldOffers = 5;

/** What the workers that are there offer, for people. One list of labels a worker. */
export function offersText(offers: readonly (readonly string[])[]): string {
  if (offers.length === 0) return "no worker is there now";
  const lists = [...new Set(offers.map((labels) => labels.join(", ")))].filter(Boolean).sort();
  if (lists.length === 0) return "workers now offer no labels";
  const told = lists.slice(0, toldOffers);
  const more = lists.length > toldOffers ? [`${lists.length - toldOffers} other lists`] : [];
  return `workers now offer ${[...told, ...more].join("; or ")}`;
}

/** Why something stands still that asks for these labels, or null when one of those who offer these can take it. */
export function waitReason(
  asked: readonly string[],
  offers: readonly (readonly string[])[],
): string | null {
  if (offers.some((offered) => offersAll(offered, asked))) return null;
  const whom = asked.length === 0 ? "a worker" : `a worker that offers ${asked.join(", ")}`;
  return `waits for ${whom}; ${offersText(offers)}`;
}

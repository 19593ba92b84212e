import type { SearchNode } from "../../../domain/search-query.ts";
import { isTextNode } from "./search-text.ts";
import type { Cell, FullText } from "./session.ts";

/** A condition on a document `d`. */
export interface Condition {
  readonly sql: string;
  readonly cells: readonly Cell[];
}

/** What the index of words alone does not know: statuses change too often to be in it, and are asked of the rows themselves. */
export function conditionOf(node: SearchNode, fullText: FullText): Condition {
  if (isTextNode(node)) return { sql: fullText.contains, cells: [fullText.pattern(node)] };
  switch (node.kind) {
    case "all":
    case "any": {
      const parts = node.of.map((each) => conditionOf(each, fullText));
      const between = node.kind === "all" ? " and " : " or ";
      return {
        sql: `(${parts.map(({ sql }) => sql).join(between)})`,
        cells: parts.flatMap(({ cells }) => cells),
      };
    }
    case "not": {
      const { sql, cells } = conditionOf(node.of, fullText);
      return { sql: `not ${sql}`, cells };
    }
    case "status":
      return statusCondition(node.status);
  }
}

/** What was observed has the status of its group, as far as the last look goes. */
const drifts: Readonly<Record<string, string>> = {
  present: `'none'`,
  drifted: `'drifted', 'missing'`,
};

function statusCondition(status: string): Condition {
  const drift = drifts[status];
  const drifted = status === "drifted" ? ` or e."drifted"` : "";
  const sql = [
    `exists (select 1 from "environment" e where e."id" = d."subjectId" and (e."status" = ?${drifted}))`,
    `exists (select 1 from "template" t where t."id" = d."subjectId" and t."status" = ?)`,
    `exists (select 1 from "resource" r where r."id" = d."resourceId" and r."status" = ?)`,
    ...(drift === undefined
      ? []
      : [
          `(d."kind" = 'observed' and exists (select 1 from "groupRecord" g where g."environmentId" = d."environmentId"
             and g."template" = d."template" and g."group" = d."group" and g."drift" in (${drift})))`,
        ]),
  ];
  return { sql: `(${sql.join(" or ")})`, cells: [status, status, status] };
}

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

/**
 * The status of the thing itself, looked up by its key: said in a way that no engine turns into reading all that have it. What
 * was observed has that of its group, as far as the last look goes.
 */
const statusOf = `coalesce(case d."kind"
    when 'environment' then (select e."status" from "environment" e where e."id" = d."subjectId")
    when 'template' then (select t."status" from "template" t where t."id" = d."subjectId")
    when 'resource' then (select r."status" from "resource" r where r."id" = d."resourceId")
    else (select case g."drift" when 'none' then 'present' when 'unknown' then '' else 'drifted' end
      from "groupRecord" g where g."environmentId" = d."environmentId" and g."template" = d."template"
        and g."group" = d."group") end, '')`;

const isDrifted = `(d."kind" = 'environment' and
    coalesce((select e."drifted" from "environment" e where e."id" = d."subjectId"), false))`;

function statusCondition(status: string): Condition {
  const sql = status === "drifted" ? `(${statusOf} = ? or ${isDrifted})` : `${statusOf} = ?`;
  return { sql: `(${sql})`, cells: [status] };
}

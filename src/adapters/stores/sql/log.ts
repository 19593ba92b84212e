import type { LogLine, LogRepository } from "../../../ports/work.ts";
import { atMost, statement } from "./session.ts";
import type { Session } from "./session.ts";

const insertLine = statement(
  `insert into "log" ("stepId", "number", "token", "time", "text") values (?, ?, ?, ?, ?) on conflict do nothing`,
);
const linesAfter = statement<LogLine>(
  `select "number", "token", "time", "text" from "log" where "stepId" = ? and "number" > ? order by "number"`,
);
const lastLine = statement<{ readonly number: number }>(
  `select "number" from "log" where "stepId" = ? order by "number" desc limit 1`,
);

export function logs(session: Session): LogRepository {
  return {
    async append(stepId, lines) {
      if (lines.length > 0) session.touch("logs");
      for (const { number, token, time, text } of lines) {
        await session.run(insertLine, stepId, number, token, time, text);
      }
    },
    async after(stepId, number, limit) {
      const rows = await atMost(session, { kept: linesAfter, limit }, stepId, number);
      return rows.map((row) => ({ ...row }));
    },
    async last(stepId) {
      return (await session.one(lastLine, stepId))?.number ?? 0;
    },
  };
}

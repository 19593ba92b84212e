import type { JournalEvent } from "../domain/event.ts";
import type { EventView } from "./rest.ts";

/** An event of the journal as a CloudEvent. */
export function eventOf(event: JournalEvent): EventView {
  return {
    specversion: "1.0",
    id: event.id,
    source: "/api/v1/events",
    type: event.type,
    subject: event.subject,
    time: event.time,
    datacontenttype: "application/json",
    data: event.data,
    position: event.position,
    sequence: event.sequence,
    ...(event.environmentId === null ? {} : { environmentid: event.environmentId }),
    ...(event.commandId === null ? {} : { commandid: event.commandId }),
    ...(event.runId === null ? {} : { runid: event.runId }),
    ...(event.stepId === null ? {} : { stepid: event.stepId }),
  };
}

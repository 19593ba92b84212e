/** SQL for the time by the database's clock as it is now, also within a transaction: RFC 3339, UTC, milliseconds. */
export const databaseTime = `to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

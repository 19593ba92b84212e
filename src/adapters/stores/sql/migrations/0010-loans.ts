/** Credentials that attempts of steps were lent. Programs of before lend none. */
export function loans(): readonly string[] {
  return [
    `create table "loan" (
      "id" text not null primary key, "environmentId" text not null, "stepId" text not null, "token" integer not null,
      "madeAt" text not null)`,
  ];
}

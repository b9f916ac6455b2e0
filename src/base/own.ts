/** What a record has of its own under a name that somebody sent: every object inherits a "constructor" and a "valueOf". */
export const own = <V>(record: Readonly<Record<string, V>>, name: string): V | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined;

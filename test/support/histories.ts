/**
 * Histories of clients that use one store at the same time, and what may be said of them without a search. A key is a
 * secret of KV version 2, read as a register: it has a version that each write raises by one, and a value that a deletion
 * takes away. Sources followed: Herlihy and Wing on linearizability (1990), for what an operation and its interval are.
 */

/** What was asked for. `expected` is the version that the write insists on (`options.cas`). */
export type Asked =
  | { readonly kind: 'read' }
  | { readonly kind: 'put'; readonly value: string }
  | { readonly kind: 'cas'; readonly value: string; readonly expected: number }
  | { readonly kind: 'delete' };

/** What a key holds: version 0 before the first write; no value where there is none, or where it was deleted. */
export interface Register {
  readonly version: number;
  readonly value: string | undefined;
}

export const EMPTY: Register = { version: 0, value: undefined };

/**
 * `done`: answered, and it happened. `mismatch`: a cas that was refused because the version was another. `nothing`: it
 * surely did nothing, and tells nothing. `unknown`: it may have happened, or may yet happen.
 */
export type Outcome = 'done' | 'mismatch' | 'nothing' | 'unknown';

export interface Operation {
  /** Who asked; a client has one operation under way at a time. */
  readonly client: number;
  /** By which way it went, for people. */
  readonly by: string;
  readonly key: string;
  readonly asked: Asked;
  readonly outcome: Outcome;
  /** What a read that is done saw, and the version that a write that is done made. */
  readonly told: Register | undefined;
  /** Milliseconds of one monotonic clock. */
  readonly invoked: number;
  readonly returned: number;
}

/**
 * What the key holds after the operation, where it happens while it holds `before`.
 * @returns undefined where what the client was told cannot be so
 */
export function step(before: Register, { asked, outcome, told }: Operation): Register | undefined {
  switch (asked.kind) {
    case 'read':
      return told !== undefined && told.version === before.version && told.value === before.value
        ? before
        : undefined;
    case 'delete':
      return { version: before.version, value: undefined };
    case 'cas':
      if (outcome === 'mismatch') return before.version === asked.expected ? undefined : before;
      if (before.version !== asked.expected) return outcome === 'unknown' ? before : undefined;
      return written(before, asked.value, told);
    case 'put':
      return written(before, asked.value, told);
  }
}

function written(before: Register, value: string, told: Register | undefined): Register | undefined {
  const version = before.version + 1;
  return told !== undefined && told.version !== version ? undefined : { version, value };
}

/** The operations of each key, those that tell nothing left out, in the order in which they were asked for. */
export function byKey(history: readonly Operation[]): ReadonlyMap<string, readonly Operation[]> {
  const keys = new Map<string, Operation[]>();
  for (const operation of history) {
    if (operation.outcome === 'nothing') continue;
    if (operation.outcome === 'unknown' && operation.asked.kind === 'read') continue;
    const known = keys.get(operation.key);
    if (known === undefined) keys.set(operation.key, [operation]);
    else known.push(operation);
  }
  for (const operations of keys.values()) operations.sort((a, b) => a.invoked - b.invoked);
  return keys;
}

/** A sentence for each read that is older than what its own client had written or read of the key before. */
export function staleForTheirOwn(history: readonly Operation[]): string[] {
  const found: string[] = [];
  const newest = new Map<string, Operation>();
  for (const operation of [...history].sort((a, b) => a.invoked - b.invoked)) {
    const { client, key, asked, outcome, told } = operation;
    if (outcome !== 'done' || told === undefined) continue;
    const mine = `${client} ${key}`;
    const before = newest.get(mine);
    if (before?.told !== undefined && told.version < before.told.version)
      found.push(`${shown(operation)}, after ${shown(before)}`);
    else if (asked.kind !== 'delete') newest.set(mine, operation);
  }
  return found;
}

/** What is kept at the end: for each key and version its value, and whether it was deleted. */
export type Kept = ReadonlyMap<
  string,
  ReadonlyMap<number, { readonly value: string | undefined; readonly deleted: boolean }>
>;

/** A sentence for each acknowledged write that is not there at the end, and for each deletion that nobody asked for. */
export function lost(history: readonly Operation[], kept: Kept): string[] {
  const found: string[] = [];
  const deleters = new Set<string>();
  for (const { key, asked, outcome } of history)
    if (asked.kind === 'delete' && outcome !== 'nothing') deleters.add(key);
  for (const operation of history) {
    const { key, asked, outcome, told } = operation;
    if (outcome !== 'done' || told === undefined || (asked.kind !== 'put' && asked.kind !== 'cas')) continue;
    const there = kept.get(key)?.get(told.version);
    const at = `${shown(operation)}, and at the end`;
    if (there === undefined) found.push(`${at} there is no such version`);
    else if (there.value !== asked.value) found.push(`${at} it holds ${there.value ?? 'nothing'}`);
    else if (there.deleted && !deleters.has(key)) found.push(`${at} it is deleted, which nobody asked for`);
  }
  return found;
}

/**
 * What became of the writes whose outcome nobody was told, by what is kept at the end: one whose value has a version
 * happened, some time after it was asked for; one whose value has none did not. Of the deletions as many may have
 * happened as there are deleted versions; any of them could be the one that did, so that those asked for first stand for
 * all. It keeps the search small, and hides nothing: an effect that was seen and is not kept is left unexplained.
 */
export function settled(history: readonly Operation[], kept: Kept): Operation[] {
  const versions = new Map<string, Map<string, number>>();
  const deletions = new Map<string, number>();
  for (const [key, mine] of kept) {
    versions.set(key, new Map([...mine].map(([version, { value = '' }]) => [value, version])));
    deletions.set(key, [...mine.values()].filter(({ deleted }) => deleted).length);
  }
  const nothing = (operation: Operation): Operation => ({ ...operation, outcome: 'nothing' });
  const inOrder = [...history].sort((a, b) => a.invoked - b.invoked);
  return inOrder.map((operation) => {
    const { key, asked, outcome } = operation;
    if (outcome !== 'unknown' || asked.kind === 'read') return operation;
    if (asked.kind === 'delete') {
      const left = deletions.get(key) ?? 0;
      deletions.set(key, left - 1);
      return left > 0 ? operation : nothing(operation);
    }
    const version = versions.get(key)?.get(asked.value);
    return version === undefined
      ? nothing(operation)
      : { ...operation, told: { version, value: asked.value } };
  });
}

/** An operation in words. */
export function shown({ client, by, key, asked, outcome, told, invoked, returned }: Operation): string {
  const end = told === undefined ? outcome : `version ${told.version} = ${told.value ?? 'nothing'}`;
  const when = `${invoked.toFixed(1)}..${returned.toFixed(1)} ms`;
  return `client ${client} by ${by} ${doing(asked)} ${key} at ${when}: ${end}`;
}

function doing(asked: Asked): string {
  switch (asked.kind) {
    case 'read':
      return 'reads';
    case 'delete':
      return 'deletes';
    case 'put':
      return `writes ${asked.value} to`;
    case 'cas':
      return `writes ${asked.value} over version ${asked.expected} of`;
  }
}

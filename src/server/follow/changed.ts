/**
 * What a change of the store means for a node that follows it: what it has to forget, by the names of the changed keys alone.
 * Pure. A key that nobody knows costs the entry that was kept under it, and nothing else.
 */

/** What is to be done before a read may rely on the change. */
export interface Forgotten {
  /** The keys of the barrier were changed. */
  readonly keyring: boolean;
  /** Something that the services read when they open, so that they are opened anew. */
  readonly structure: boolean;
  readonly policies: boolean;
  readonly identity: boolean;
  /** Another node says that it leads. */
  readonly leader: boolean;
}

export const LEADER_KEY = 'cluster/leader';
export const IDENTITY_KEY = 'cluster/identity';

const KEYS_OF_BARRIER: ReadonlySet<string> = new Set(['core/keyring', 'core/root-key-wrapped']);
/** Everything in memory that is read once, when the services open. */
const STRUCTURE: readonly string[] = [
  'core/mounts',
  'sys/audit/devices/',
  'sys/audited-headers',
  'sys/quota/',
  'sys/keys/rotation',
  'sys/token/salt',
  'sys/token/closed/',
  'sys/cluster-id',
];
const POLICY = 'sys/policy/';
const IDENTITY = 'identity/';

export function forgottenBy(keys: readonly string[]): Forgotten {
  const below = (prefix: string): boolean => keys.some((key) => key.startsWith(prefix));
  return {
    keyring: keys.some((key) => KEYS_OF_BARRIER.has(key)),
    structure: STRUCTURE.some(below),
    policies: below(POLICY),
    identity: below(IDENTITY),
    leader: keys.includes(LEADER_KEY),
  };
}

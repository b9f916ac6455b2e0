/** The barrier's own records: their names in the store. */

export const KEYRING = 'core/keyring';
export const SET_HASH = 'core/set-hash';
/** What must be read before there is a key. Not secret; the set-hash covers it. */
export const PLAIN: readonly string[] = ['core/seal-config', 'core/root-key-wrapped'];
/** No view shows or writes them. All lie directly in one folder. */
export const RESERVED: ReadonlySet<string> = new Set([KEYRING, SET_HASH, ...PLAIN]);
export const RESERVED_FOLDER = 'core/';

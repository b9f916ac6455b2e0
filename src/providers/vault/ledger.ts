/**
 * Who pushed what of a secret, kept in its custom metadata. Pure. `managed-by=external-secrets` is upstream's: what lacks it
 * is nobody's to overwrite. Beside it stands who pushed the whole or a property, which upstream does not keep. A server takes
 * 64 entries of 512 bytes, and a secret may have hundreds of properties: so an entry names an owner and lists short hashes.
 */

import { createHash } from 'node:crypto';
import type { PushOptions } from '../../provider/provider.ts';

export type Custom = Readonly<Record<string, string>>;
/** Marks of properties ("" of the whole is `WHOLE`), and who pushed each. */
type Owners = ReadonlyMap<string, string>;

export interface Ledger {
  readonly isManaged: boolean;
  readonly owners: Owners;
}

const MANAGED_BY = 'managed-by';
const MANAGER = 'external-secrets';
const PREFIX = 'holdfast.dev/pushed-by/';
const WHOLE = '*';
/** Twelve digits of a hash and a comma each, within 512 bytes. */
const PER_ENTRY = 39;

const markOf = (property: string): string =>
  property === '' ? WHOLE : createHash('sha256').update(property).digest('hex').slice(0, 12);

/** Reads custom metadata as a server gave it; entries of others are nobody's business here. */
export function ledgerOf(custom: Custom): Ledger {
  const owners = new Map<string, string>();
  for (const [key, value] of Object.entries(custom)) {
    const [owner = ''] = key.startsWith(PREFIX) ? key.slice(PREFIX.length).split('/') : [];
    if (owner !== '') for (const mark of value.split(',')) owners.set(mark, owner);
  }
  return { isManaged: custom[MANAGED_BY] === MANAGER, owners };
}

/** The custom metadata with this ledger in it; what others wrote there stays. */
export function withLedger(custom: Custom, { isManaged, owners }: Ledger): Custom {
  const kept = Object.entries(custom).filter(([key]) => key !== MANAGED_BY && !key.startsWith(PREFIX));
  const marks = new Map<string, string[]>();
  for (const [mark, owner] of owners) marks.set(owner, [...(marks.get(owner) ?? []), mark]);
  const entries = [...marks].flatMap(([owner, all]) => {
    const sorted = all.sort();
    const count = Math.ceil(sorted.length / PER_ENTRY);
    return Array.from({ length: count }, (_, at): [string, string] => [
      `${PREFIX}${owner}${at === 0 ? '' : `/${at}`}`,
      sorted.slice(at * PER_ENTRY, (at + 1) * PER_ENTRY).join(','),
    ]);
  });
  return Object.fromEntries([...kept, ...(isManaged ? [[MANAGED_BY, MANAGER]] : []), ...entries]);
}

const ownerOf = ({ owners }: Ledger, property: string): string | undefined =>
  owners.get(markOf(property)) ?? owners.get(WHOLE);

/** Whether a push may write there, or why not. What upstream pushed names no owner, and is taken over by who pushes to it. */
export function mayPush(
  ledger: Ledger,
  property: string,
  { owner, adopt = () => false }: Pick<PushOptions, 'owner' | 'adopt'>,
): string | undefined {
  if (!ledger.isManaged) return adopt(undefined) ? undefined : 'secret not managed by external-secrets';
  const others = property === '' ? [...ledger.owners.values()] : [ownerOf(ledger, property) ?? owner];
  return others.every((who) => who === owner || adopt(who)) ? undefined : 'another PushSecret pushed it';
}

/** Whether this owner pushed it, and so may take it away. What names no owner stays. */
export function mayDelete(ledger: Ledger, property: string, owner: string): boolean {
  if (!ledger.isManaged || ownerOf(ledger, property) !== owner) return false;
  return property !== '' || [...ledger.owners.values()].every((who) => who === owner);
}

/** The ledger once `owner` has pushed there. Who pushes the whole owns all of it. */
export const pushedBy = ({ owners }: Ledger, property: string, owner: string): Ledger => ({
  isManaged: true,
  owners: property === '' ? new Map([[WHOLE, owner]]) : new Map([...owners, [markOf(property), owner]]),
});

export const withdrawn = ({ isManaged, owners }: Ledger, property: string): Ledger => ({
  isManaged,
  owners: new Map([...owners].filter(([mark]) => mark !== markOf(property))),
});

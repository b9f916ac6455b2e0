/** What the seal of the store and those of the configuration file mean together. Pure. */

import { type AutoSeal, type Seals, SHAMIR } from './seal.ts';

export type Course =
  /** The store is under the seal that the file names; absent: under shares. */
  | { readonly kind: 'settled'; readonly seal: AutoSeal | undefined }
  /** People are to give their shares with `migrate`, and the store goes from one to the other. */
  | { readonly kind: 'migrating'; readonly from: AutoSeal | undefined; readonly to: AutoSeal | undefined }
  /** Nothing in the file opens this store. */
  | { readonly kind: 'stranded'; readonly from: string; readonly to: string };

/** @param stored the type of the seal that the store is under */
export function courseOf(stored: string, { active, retired }: Seals): Course {
  if (stored === (active?.type ?? SHAMIR)) return { kind: 'settled', seal: active };
  if (stored === SHAMIR) return { kind: 'migrating', from: undefined, to: active };
  if (stored === retired?.type) return { kind: 'migrating', from: retired, to: active };
  return { kind: 'stranded', from: stored, to: active === undefined ? 'Shamir' : `"${active.type}"` };
}

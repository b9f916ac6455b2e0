/**
 * Revocation lists (RFC 5280 section 5): built from what was revoked, kept whole, and built again when they fall behind or
 * near their end. Reading one never builds it. A list that a crash left behind is mended by the next tick.
 */

import { signerOf } from '../../crypto/x509/keytype.ts';
import { signList } from './crl.ts';
import { groupOf, type Opened, opened } from './issuers.ts';
import type { CrlSettings, List, PkiStore } from './store.ts';

export type Need = 'full' | 'delta' | undefined;

/** What a list needs now. Pure. @param turn how many revocations there have been */
export function needOf(list: List | undefined, settings: CrlSettings, turn: number, now: number): Need {
  if (list === undefined || now >= renewAt(list, settings)) return 'full';
  const behind = turn > list.turn;
  if (!settings.autoRebuild) return behind ? 'full' : undefined;
  return settings.enableDelta && behind && now >= list.deltaMade + settings.deltaInterval
    ? 'delta'
    : undefined;
}

/** When a list is made anew though nothing happened: while the old one still holds. */
function renewAt(list: List, { autoRebuild, grace }: CrlSettings): number {
  const life = list.expires - list.made;
  return list.expires - (autoRebuild && grace < life ? grace : life / 4);
}

/** Milliseconds since 1970 at which the lists want to be looked at next. */
function nextLook(lists: readonly List[], settings: CrlSettings, now: number): number {
  const due = lists.map((list) => renewAt(list, settings));
  const delta = settings.autoRebuild && settings.enableDelta ? [now + settings.deltaInterval] : [];
  return Math.min(...due, ...delta, now + 3_600_000);
}

/**
 * Builds the lists that need it. @param force one of them all, whether needed or not
 * @returns when to look again, milliseconds since 1970
 */
export function refreshLists(store: PkiStore, force?: 'full' | 'delta'): Promise<number> {
  return store.exclusive(() => refreshAll(store, force));
}

async function refreshAll(store: PkiStore, force: 'full' | 'delta' | undefined): Promise<number> {
  const settings = await store.setting('crl');
  const now = store.now();
  // Read before what was revoked: what comes in between is then in the list, and the list is behind by its own count.
  const turn = await store.turn();
  const kept: List[] = [];
  for (const [group, one] of await groups(store)) {
    const list = await store.get('crl', group);
    const needed = needOf(list, settings, turn, now);
    const need = force === 'delta' && list !== undefined ? (needed ?? 'delta') : (force ?? needed);
    kept.push(
      need === undefined && list !== undefined
        ? list
        : await build(store, group, one, list, need === 'delta', turn),
    );
  }
  return nextLook(kept, settings, now);
}

/** The lists that there have to be, with an issuer that can sign each. */
async function groups(store: PkiStore): Promise<Map<string, Opened>> {
  const found = new Map<string, Opened>();
  for (const issuer of await store.all('issuer')) {
    if (issuer.keyId === '' || !issuer.usage.includes('crl-signing')) continue;
    const one = opened(issuer);
    const group = groupOf(one.certificate);
    if (!found.has(group)) found.set(group, one);
  }
  return found;
}

async function build(
  store: PkiStore,
  group: string,
  { issuer, certificate }: Opened,
  before: List | undefined,
  isDelta: boolean,
  turn: number,
): Promise<List> {
  const settings = await store.setting('crl');
  const signer = signerOf(await store.privateKey(issuer.keyId));
  const all = settings.disable ? [] : (await store.all('revoked')).filter((one) => one.group === group);
  const now = store.now();
  const number = (before?.number ?? 0) + 1;
  const times = { now, expires: now + settings.expiry };
  let list: List;
  if (isDelta && before !== undefined) {
    const base = before.fullNumber;
    const since = all.filter((one) => one.turn >= before.fullTurn);
    const delta = signList(certificate, since, { now, expires: before.expires }, { number, base }, signer);
    list = { ...before, number, delta: delta.toString('base64'), turn, deltaMade: now };
  } else {
    const full = signList(certificate, all, times, { number }, signer).toString('base64');
    // A delta list beside it from the start: whoever follows the freshest-list pointer must find something.
    const empty = settings.enableDelta
      ? signList(certificate, [], times, { number: number + 1, base: number }, signer).toString('base64')
      : undefined;
    list = {
      number: empty === undefined ? number : number + 1,
      fullNumber: number,
      full,
      ...(empty === undefined ? {} : { delta: empty }),
      fullTurn: turn,
      turn,
      made: now,
      deltaMade: now,
      expires: times.expires,
    };
  }
  await store.put('crl', group, list);
  return list;
}

/** Orders and accounts of ACME that nobody can use any more, taken away. */

import { fileOf, type PkiStore } from '../store.ts';
import type { Accounts } from './accounts.ts';
import { type Account, below, type Order } from './records.ts';

export interface Buffers {
  readonly now: number;
  /** How long after its certificate's end an order stays. Milliseconds; undefined: such orders are not looked at. */
  readonly certificateBuffer: number | undefined;
  /** How long an order stays that ended without one; absent: not at all. */
  readonly orderBuffer?: number;
  readonly accountBuffer: number;
}

/** When an order is of no more use to its account: with its certificate, or with its own end where there is none. */
const endOf = (order: Order): number => (order.status === 'valid' ? order.certificateExpires : order.expires);

/** Deletes the orders of an account that are over. @returns how many, and until when the account was of use */
async function tidyOrders(
  store: PkiStore,
  account: string,
  { now, certificateBuffer, orderBuffer = 0 }: Omit<Buffers, 'accountBuffer'>,
): Promise<{ readonly deleted: number; readonly left: number; readonly until: number }> {
  let deleted = 0;
  let left = 0;
  let until = 0;
  for (const id of await store.list(`acme/order/${account}`)) {
    const order = await store.get('acme/order', below(account, id));
    if (order === undefined) continue;
    until = Math.max(until, endOf(order));
    const buffer = order.status === 'valid' ? certificateBuffer : orderBuffer;
    if (buffer === undefined || now < endOf(order) + buffer) {
      left++;
      continue;
    }
    await store.commit([
      store.gone('acme/order', below(account, id)),
      ...order.authorizations.map((one) => store.gone('acme/authorization', below(account, one))),
      ...(order.serial === '' ? [] : [store.gone('acme/issued', below(account, fileOf(order.serial)))]),
    ]);
    deleted++;
  }
  return { deleted, left, until };
}

export interface Tidied {
  readonly orders: number;
  readonly account: 'kept' | 'revoked' | 'deleted';
}

/** Deletes an account's old orders; ends an account that was long of no use, and deletes one that ended long ago. */
export async function tidyAccount(
  store: PkiStore,
  accounts: Pick<Accounts, 'drop'>,
  id: string,
  buffers: Buffers,
): Promise<Tidied> {
  const { deleted, left, until } = await tidyOrders(store, id, buffers);
  const before = await store.get('acme/account', id);
  const planned = before && ended(before, left, until, buffers);
  const account =
    planned?.status === before?.status && planned?.busyUntil === before?.busyUntil
      ? before
      : await store.change('acme/account', id, (now) => ended(now, left, until, buffers));
  if (account === undefined) return { orders: deleted, account: 'kept' };
  const { now, accountBuffer } = buffers;
  if (account.status === 'valid') return { orders: deleted, account: 'kept' };
  if (left === 0 && now > account.ended + accountBuffer) {
    await accounts.drop(account);
    return { orders: deleted, account: 'deleted' };
  }
  return { orders: deleted, account: account.ended === now ? 'revoked' : 'kept' };
}

/** Pure. */
function ended(before: Account, left: number, until: number, { now, accountBuffer }: Buffers): Account {
  const after = { ...before, busyUntil: Math.max(before.busyUntil, until) };
  const isIdle = left === 0 && now > before.created + accountBuffer && now > after.busyUntil + accountBuffer;
  return before.status === 'valid' && isIdle ? { ...after, status: 'revoked', ended: now } : after;
}

/** Whoever still looks at an order that ended is told so, and not that there never was one. */
const UNFINISHED_MS = 24 * 3_600_000;

/**
 * Deletes the orders that ended without a certificate, whether or not anybody asked for tidying: strangers made them.
 * @returns how many
 */
export async function sweepOrders(store: PkiStore): Promise<number> {
  let deleted = 0;
  for (const folder of await store.list('acme/order')) {
    const account = folder.replace(/\/$/, '');
    const done = await tidyOrders(store, account, {
      now: store.now(),
      certificateBuffer: undefined,
      orderBuffer: UNFINISHED_MS,
    });
    if (done.until > 0)
      await store.change('acme/account', account, (before) => ({
        ...before,
        busyUntil: Math.max(before.busyUntil, done.until),
      }));
    deleted += done.deleted;
  }
  return deleted;
}

/**
 * What holders of key shares do together over several requests: making a root token, replacing the shares. The routes
 * that need no token are asked, because they are there for the day on which nobody has one; they answer bare JSON.
 */

import { failure, isFailure } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { Answer, Method, VaultClient } from './client.ts';
import { isBag } from './envelope.ts';

/** The JSON of an answer, as it came. */
export type Told = { readonly [key: string]: Json };

/** How far the making of a root token is: nonce, started, progress, required, complete, otp_length, encoded_root_token. */
export const rootStatus = async (client: VaultClient): Promise<Told> =>
  toldBy(client, await askRoot(client, 'GET', 'attempt'));

/** Begins to make a root token. @param how by which it is told: a one-time pad of the caller's, or a PGP key in base64 */
export const beginRoot = async (
  client: VaultClient,
  how: { readonly otp?: string | undefined; readonly pgpKey?: string | undefined },
): Promise<Told> =>
  toldBy(client, await askRoot(client, 'PUT', 'attempt', { otp: how.otp ?? '', pgp_key: how.pgpKey ?? '' }));

export const cancelRoot = async (client: VaultClient): Promise<void> => {
  await askRoot(client, 'DELETE', 'attempt');
};

/** Gives one share; with enough of them the answer is complete and holds the encoded token. */
export const updateRoot = async (client: VaultClient, key: string, nonce: string): Promise<Told> =>
  toldBy(client, await askRoot(client, 'PUT', 'update', { key, nonce }));

const askRoot = (client: VaultClient, method: Method, part: string, body?: unknown): Promise<Answer> =>
  orGuarded(client, method, `sys/generate-root/${part}`, `sys/generate-root-token/${part}`, body);

/** Whose shares are replaced: those that unseal, or those that stand in for them where a service unseals. */
export type RekeyTarget = 'barrier' | 'recovery';

interface RekeyRoutes {
  readonly root: string;
  readonly backup: string;
  /** The same behind a token, in OpenBao, which turns those without one off by default. */
  readonly guarded: string;
}

const REKEY: Readonly<Record<RekeyTarget, RekeyRoutes>> = {
  barrier: { root: 'sys/rekey', backup: 'sys/rekey/backup', guarded: 'sys/rotate/root' },
  recovery: {
    root: 'sys/rekey-recovery-key',
    backup: 'sys/rekey/recovery-key-backup',
    guarded: 'sys/rotate/recovery',
  },
};

export interface RekeyWish {
  readonly shares: number;
  readonly threshold: number;
  /** PGP keys in base64, one for each share. */
  readonly pgpKeys: readonly string[];
  /** Whether the encrypted shares are kept in the server too. */
  readonly backup: boolean;
  /** Whether the new shares must be given back before they count. */
  readonly verify: boolean;
}

/** The two halves of replacing shares: getting the new ones by the present ones, and proving that they were kept. */
export type RekeyPart = 'init' | 'verify';

/** nonce, started, t, n, progress, required, verification_required; of `verify`: nonce, started, t, n, progress. */
export const rekeyStatus = (client: VaultClient, target: RekeyTarget, part: RekeyPart): Promise<Told> =>
  askRekey(client, target, 'GET', part);

export const beginRekey = (client: VaultClient, target: RekeyTarget, wish: RekeyWish): Promise<Told> =>
  askRekey(client, target, 'PUT', 'init', {
    secret_shares: wish.shares,
    secret_threshold: wish.threshold,
    pgp_keys: wish.pgpKeys.length === 0 ? null : wish.pgpKeys,
    backup: wish.backup,
    require_verification: wish.verify,
  });

export const cancelRekey = async (
  client: VaultClient,
  target: RekeyTarget,
  part: RekeyPart,
): Promise<void> => {
  await orGuarded(client, 'DELETE', `${REKEY[target].root}/${part}`, `${REKEY[target].guarded}/${part}`);
};

/** Gives one share. With enough of them: complete, and the new keys where it is not a verification. */
export const updateRekey = (
  client: VaultClient,
  target: RekeyTarget,
  part: RekeyPart,
  share: { readonly key: string; readonly nonce: string },
): Promise<Told> => askRekey(client, target, 'PUT', part === 'init' ? 'update' : 'verify', share);

/** The encrypted shares that the server keeps: nonce, keys, keys_base64. */
export const rekeyBackup = (client: VaultClient, target: RekeyTarget): Promise<Answer> =>
  client.request('GET', REKEY[target].backup);

export const deleteRekeyBackup = async (client: VaultClient, target: RekeyTarget): Promise<void> => {
  await client.request('DELETE', REKEY[target].backup);
};

async function askRekey(
  client: VaultClient,
  target: RekeyTarget,
  method: Method,
  part: string,
  body?: unknown,
): Promise<Told> {
  const { root, guarded } = REKEY[target];
  return toldBy(client, await orGuarded(client, method, `${root}/${part}`, `${guarded}/${part}`, body));
}

/** Asks the route without a token, and where a server has turned it off (405), the same behind one. */
async function orGuarded(
  client: VaultClient,
  method: Method,
  open: string,
  guarded: string,
  body?: unknown,
): Promise<Answer> {
  const options = body === undefined ? {} : { body };
  try {
    return await client.request(method, open, options);
  } catch (error) {
    if (!isFailure(error, 'api.unsupported')) throw error;
    return client.request(method, guarded, options);
  }
}

/** The object that an answer is; one in an envelope is the object in it. @throws Failure api.garbage */
function toldBy(client: VaultClient, { json }: Answer): Told {
  if (!isBag(json)) throw failure('api.garbage', { address: client.address, reason: 'it told nothing' });
  return isBag(json['data']) && 'request_id' in json ? json['data'] : json;
}

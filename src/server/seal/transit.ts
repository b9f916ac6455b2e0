/**
 * The seal whose key is one of a transit engine, in another server that speaks the Vault API. The root key goes there to be
 * wrapped and to be unwrapped, and the key that does it never leaves that server.
 */

import { base64, fromBase64, textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import type { Ask } from './ask.ts';
import type { Lease } from './renewal.ts';
import type { AutoSeal } from './seal.ts';

export interface TransitOptions {
  readonly ask: Ask;
  /** Scheme, host and port, without a slash at the end. */
  readonly address: string;
  /** Empty where something on the way adds one. */
  readonly token: string;
  readonly keyName: string;
  /** Without slashes at its ends, and so the namespace; empty: the root. */
  readonly mountPath: string;
  readonly namespace: string;
}

export interface TransitSeal extends AutoSeal {
  /** Renews the seal's own token. @throws Failure seal.unreachable, seal.refused */
  renewToken(): Promise<Lease>;
}

export const TRANSIT = 'transit';
const LONGEST_REASON = 200;

export function transitSeal({
  ask,
  address,
  token,
  keyName,
  mountPath,
  namespace,
}: TransitOptions): TransitSeal {
  const ended = new AbortController();
  const headers = {
    'content-type': 'application/json',
    'x-vault-request': 'true',
    ...(token === '' ? {} : { 'x-vault-token': token }),
    ...(namespace === '' ? {} : { 'x-vault-namespace': namespace }),
  };
  // Neither names the address: people without a token are told these, at init and when they unseal.
  const unreachable = (reason: string, cause?: unknown) =>
    failure('seal.unreachable', { seal: TRANSIT, reason }, { cause });
  const refused = (reason: string) => failure('seal.refused', { seal: TRANSIT, reason });
  const post = async (path: string, body: object): Promise<Answer> => {
    const url = `${address}/v1/${path}`;
    const sent = { url, method: 'POST', headers, body: JSON.stringify(body), signal: ended.signal };
    const { status, body: bytes } = await ask(sent).catch((error: unknown) => {
      throw unreachable('no connection to it', error);
    });
    const answer = readAnswer(status, bytes);
    if (status === 200) return answer;
    // What passes by itself: sealed, on standby, overloaded, behind a proxy that finds nobody.
    if (status >= 500 || status === 429 || status === 408 || status === 412 || status === 472)
      throw unreachable(answer.reason);
    return answer;
  };
  const key = (what: string): string =>
    [...mountPath.split('/'), what, keyName].map(encodeURIComponent).join('/');

  return {
    type: TRANSIT,
    async wrap(plain) {
      const answer = await post(key('encrypt'), { plaintext: base64(plain) });
      const ciphertext = answer.status === 200 ? answer.text('data', 'ciphertext') : undefined;
      if (ciphertext === undefined || generationOf(ciphertext) === '') throw refused(answer.reason);
      return utf8(ciphertext);
    },
    async unwrap(blob) {
      const answer = await post(key('decrypt'), { ciphertext: textOf(blob) ?? '' });
      // 400 is said of the key and of the ciphertext; all else of the token, or of the way to the engine.
      if (answer.status === 400) throw failure('seal.lost_key', { seal: TRANSIT, reason: answer.reason });
      const plaintext = answer.status === 200 ? answer.text('data', 'plaintext') : undefined;
      const plain = plaintext === undefined ? undefined : fromBase64(plaintext);
      if (plain === undefined) throw refused(answer.reason);
      return plain;
    },
    generation: (blob) => generationOf(textOf(blob) ?? ''),
    async renewToken() {
      const answer = await post('auth/token/renew-self', {});
      if (answer.status !== 200) throw refused(answer.reason);
      return answer.lease();
    },
    close: () => ended.abort(),
  };
}

/** The key's version, as `vault:v3:...` names it; empty where the text is no ciphertext. */
const generationOf = (ciphertext: string): string => /^vault:(v\d+):./.exec(ciphertext)?.[1] ?? '';

interface Answer {
  readonly status: number;
  /** Why it was no good, for a log; never what the answer held. */
  readonly reason: string;
  text(block: 'data', name: string): string | undefined;
  lease(): Lease;
}

/** The answer is that of a server which the file names, but perhaps of a proxy before it: nothing of it is taken as given. */
function readAnswer(status: number, bytes: Uint8Array): Answer {
  let read: unknown;
  try {
    read = JSON.parse(textOf(bytes) ?? '');
  } catch {
    // Told as an answer without anything in it.
  }
  const at = (value: unknown, name: string): unknown =>
    typeof value === 'object' && value !== null
      ? (value as Readonly<Record<string, unknown>>)[name]
      : undefined;
  const errors = at(read, 'errors');
  const said: unknown = Array.isArray(errors) ? errors[0] : undefined;
  const plain = typeof said === 'string' ? said.replace(/[^\x20-\x7e]+/g, ' ').slice(0, LONGEST_REASON) : '';
  return {
    status,
    reason: status === 200 ? 'its answer was not one of a transit engine' : `HTTP ${status} ${plain}`.trim(),
    text(block, name) {
      const found = at(at(read, block), name);
      return typeof found === 'string' ? found : undefined;
    },
    lease() {
      const seconds = at(at(read, 'auth'), 'lease_duration');
      return {
        ms: typeof seconds === 'number' ? seconds * 1000 : 0,
        renewable: at(at(read, 'auth'), 'renewable') === true,
      };
    },
  };
}

/**
 * How requests of ACME come in and answers go out: who asks is told by the signature of each request, checked in
 * `signedRequest` before anything else happens, and every answer carries the nonce for the next one.
 */

import { z } from 'zod';
import { utf8 } from '../../../base/bytes.ts';
import { stringify } from '../../../base/json.ts';
import { type Call, type Mount, operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import type { PkiStore } from '../store.ts';
import type { Accounts } from './accounts.ts';
import { off, type Told, wireOf } from './answers.ts';
import {
  ALGORITHMS,
  type Members,
  readBody,
  readEnvelope,
  readHeader,
  readKey,
  type SignerKey,
  verified,
} from './jws.ts';
import { MOST_BODY_BYTES } from './limits.ts';
import { Nonces } from './nonces.ts';
import { type Directory, directoryOf } from './policy.ts';
import { AcmeError, asAcmeError } from './problem.ts';
import type { Account } from './records.ts';

/** Where directories are, below the mount. */
export const DIRECTORIES = ['', 'roles/:role/', 'issuer/:issuer/', 'issuer/:issuer/roles/:role/'];

const params = {
  role: z.string().optional(),
  issuer: z.string().optional(),
  id: z.string().default(''),
  type: z.string().default(''),
};
const readInput = z.object(params);
const signedInput = z.object({ ...params, body: z.instanceof(Uint8Array) });
type Params = z.output<typeof readInput>;
/** Raw answers: none of them is data of an envelope. */
const output = z.object({});

/** A request whose signature holds. */
export interface Signed {
  readonly directory: Directory;
  readonly url: string;
  readonly key: SignerKey;
  /** Undefined where the request brought its own key. */
  readonly account: Account | undefined;
  /** Undefined: POST-as-GET (section 6.3). */
  readonly payload: Members | undefined;
  readonly params: Params;
}
export type SignedByAccount = Signed & { readonly account: Account };

const malformed = (detail: string): AcmeError => new AcmeError('malformed', detail);
const PROBLEM_TYPE = 'application/problem+json';
const REQUEST_TYPE = 'application/jose+json';

/** What makes the routes of a mount's directories. */
export interface Session {
  /** A read that nobody signs. */
  read(path: string, summary: string, act: (directory: Directory, call: Call) => Told): Route[];
  /** A request that is signed by an account, or by a key that it brings along. */
  signed(path: string, summary: string, act: (request: Signed) => Promise<Told>): Route[];
  /** A request of an account that may act. */
  byAccount(path: string, summary: string, act: (request: SignedByAccount) => Promise<Told>): Route[];
}

export function acmeSession(mount: Mount, store: PkiStore, accounts: Accounts): Session {
  const nonces = new Nonces(mount.random(32));

  const pathOf = (call: Call): string => call.path.text.slice(mount.path.length);

  /** Answers in the protocol's own words, whatever happens. @param signed whether a nonce goes with it */
  const answering = async (
    call: Call,
    given: Params,
    signed: boolean,
    act: (directory: Directory) => Promise<Told>,
  ): Promise<Reply<Record<string, never>>> => {
    let index: Readonly<Record<string, string>> = {};
    const nonce = (): Readonly<Record<string, string>> => (signed ? { 'Replay-Nonce': nonces.issue() } : {});
    try {
      const path = pathOf(call);
      const directory = await directoryOf(store, path.slice(0, path.lastIndexOf('acme/') + 5), given);
      if (directory === undefined) return off();
      index = { Link: `<${directory.url}directory>;rel="index"` };
      return { raw: wireOf(await act(directory), { ...index, ...nonce() }) };
    } catch (error) {
      const { problem, headers } = asAcmeError(error);
      // What was refused on purpose is no trouble of the server's, and strangers must not fill its log.
      if (problem.status >= 500 && !(error instanceof AcmeError))
        mount.log.error('an ACME request failed', { error });
      const { status, ...document } = problem;
      const body = utf8(stringify({ ...document, status }));
      return {
        raw: { status, headers: { 'Content-Type': PROBLEM_TYPE, ...index, ...nonce(), ...headers }, body },
      };
    }
  };

  const signedRequest = async (
    directory: Directory,
    call: Call,
    { body, ...given }: z.output<typeof signedInput>,
  ): Promise<Signed> => {
    if (body.length > MOST_BODY_BYTES) throw malformed(`the request is longer than ${MOST_BODY_BYTES} bytes`);
    // Section 6.2. A page in a browser cannot send this type to another origin unasked.
    if (call.headers['content-type']?.split(';')[0]?.trim().toLowerCase() !== REQUEST_TYPE)
      throw new AcmeError('malformed', `the Content-Type must be ${REQUEST_TYPE}`, { status: 415 });
    const envelope = readEnvelope(readBody(body));
    const header = readHeader(envelope, ALGORITHMS);
    if (header.kid !== undefined && header.jwk !== undefined)
      throw malformed(
        "invalid header: got both account 'kid' and 'jwk' in the same message; expected only one",
      );
    if (header.kid === undefined && header.jwk === undefined)
      throw malformed("invalid header: got neither required fields of 'kid' nor 'jwk'");
    if (header.nonce === undefined || !nonces.redeem(header.nonce))
      throw new AcmeError('badNonce', 'invalid or reused nonce');
    const url = directory.url + pathOf(call).slice(directory.path.length);
    // Section 6.4: else what was signed for one resource could be sent to another.
    if (header.url !== url)
      throw new AcmeError('unauthorized', `invalid value for 'url' in 'protected': expected '${url}'`);
    const account = header.kid === undefined ? undefined : await accounts.named(directory, header.kid);
    const key = await readKey(account?.jwk ?? header.jwk ?? {});
    return {
      directory,
      url,
      key,
      account,
      payload: await verified(envelope, header, key.key),
      params: given,
    };
  };

  const signed = (path: string, summary: string, act: (request: Signed) => Promise<Told>): Route[] =>
    DIRECTORIES.map((prefix) => ({
      path: `${prefix}acme/${path}`,
      access: 'public',
      operations: {
        write: operation({
          summary,
          input: signedInput,
          output,
          effect: 'write',
          body: 'bytes',
          run: (given, call) =>
            answering(call, given, true, async (directory) =>
              act(await signedRequest(directory, call, given)),
            ),
        }),
      },
    }));

  const byAccount = (
    path: string,
    summary: string,
    act: (request: SignedByAccount) => Promise<Told>,
  ): Route[] =>
    signed(path, summary, async (request) => {
      const { account, directory } = request;
      if (account === undefined) throw malformed("cannot process request without a 'kid'");
      accounts.checkUsable(directory, account);
      return act({ ...request, account });
    });

  const read = (path: string, summary: string, act: (directory: Directory, call: Call) => Told): Route[] =>
    DIRECTORIES.map((prefix) => ({
      path: `${prefix}acme/${path}`,
      access: 'public',
      operations: {
        read: operation({
          summary,
          input: readInput,
          output,
          effect: path === 'new-nonce' ? 'write' : 'none',
          run: (given, call) =>
            answering(call, given, path === 'new-nonce', async (directory) => act(directory, call)),
        }),
      },
    }));

  return { read, signed, byAccount };
}

/**
 * The ACME server (RFC 8555), once for each directory of the mount. Its routes are public: who asks is told by the signature
 * of each request, checked in `signedRequest` before anything else happens. Answers are outside of Vault's envelope, as the
 * protocol wants it, and their headers (Replay-Nonce, Location, Link) always go out: a directory that is enabled works
 * without tuning the mount.
 */

import { z } from 'zod';
import { utf8 } from '../../../base/bytes.ts';
import { type Json, stringify } from '../../../base/json.ts';
import {
  type Call,
  type Mount,
  operation,
  type RawReply,
  type Reply,
  type Route,
} from '../../../plugin/plugin.ts';
import { type Accounts, accountUrl } from '../acme/accounts.ts';
import {
  ALGORITHMS,
  type Members,
  readBody,
  readEnvelope,
  readHeader,
  readKey,
  type SignerKey,
  verified,
} from '../acme/jws.ts';
import { MOST_BODY_BYTES } from '../acme/limits.ts';
import { Nonces } from '../acme/nonces.ts';
import { authorizationStatus, type OpenOrder, Orders } from '../acme/orders.ts';
import { type Directory, directoryOf } from '../acme/policy.ts';
import { AcmeError, asAcmeError } from '../acme/problem.ts';
import { type Account, type Authorization, below, CHALLENGES, type Challenge } from '../acme/records.ts';
import type { Validator } from '../acme/validator.ts';
import { readCertificate } from '../certificate.ts';
import { iso } from '../issuing.ts';
import { spkiOf } from '../keytype.ts';
import { revoke } from '../revoking.ts';
import { fileOf, type PkiStore } from '../store.ts';

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
interface Signed {
  readonly directory: Directory;
  readonly url: string;
  readonly key: SignerKey;
  /** Undefined where the request brought its own key. */
  readonly account: Account | undefined;
  /** Undefined: POST-as-GET (section 6.3). */
  readonly payload: Members | undefined;
  readonly params: Params;
}
type SignedByAccount = Signed & { readonly account: Account };

interface Told {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, or PEM as text; absent: nothing. */
  readonly body?: Json;
}

const malformed = (detail: string): AcmeError => new AcmeError('malformed', detail);
const JSON_TYPE = 'application/json';
const PEM_TYPE = 'application/pem-certificate-chain';
const PROBLEM_TYPE = 'application/problem+json';
const REQUEST_TYPE = 'application/jose+json';
/** How soon a client may look again at what is being decided, in seconds. */
const LOOK_AGAIN = '3';

export function acmeRoutes(mount: Mount, store: PkiStore, accounts: Accounts, validator: Validator): Route[] {
  const nonces = new Nonces(mount.random(32));
  const orders = new Orders(mount, store);

  const pathOf = (call: Call): string => call.path.text.slice(mount.path.length);

  /** Answers in the protocol's own words, whatever happens. @param signed whether a nonce goes with it */
  const answering = async (
    call: Call,
    given: Params,
    signed: boolean,
    act: (directory: Directory) => Promise<Told | RawReply>,
  ): Promise<Reply<Record<string, never>>> => {
    let index: Readonly<Record<string, string>> = {};
    const nonce = (): Readonly<Record<string, string>> => (signed ? { 'Replay-Nonce': nonces.issue() } : {});
    try {
      const path = pathOf(call);
      const directory = await directoryOf(store, path.slice(0, path.lastIndexOf('acme/') + 5), given);
      if (directory === undefined) return off();
      index = { Link: `<${directory.url}directory>;rel="index"` };
      const told = await act(directory);
      if ('headers' in told && 'body' in told && told.body instanceof Uint8Array)
        return { raw: told as RawReply };
      return { raw: wireOf(told as Told, { ...index, ...nonce() }) };
    } catch (error) {
      const { problem, headers } = asAcmeError(error);
      if (problem.status >= 500) mount.log.error('an ACME request failed', { error });
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

  return [
    ...read('directory', 'Read where the resources of this ACME server are.', (directory) => ({
      body: directoryData(directory),
    })),
    // Section 7.2: HEAD is answered 200, GET 204.
    ...read('new-nonce', 'Get a nonce for the next request.', (_, call) => ({
      status: call.headersOnly === true ? 200 : 204,
    })),

    ...signed('new-account', 'Make an account, or find the one of a key.', async (request) => {
      const { directory, key, account, payload } = request;
      if (account !== undefined) throw malformed("cannot submit to newAccount with 'kid'");
      const asked = payloadOf(newAccount, payload);
      const found = await accounts.ofKey(directory, key.thumbprint);
      if (found !== undefined) {
        accounts.checkUsable(directory, found);
        return accountTold(directory, found, 200);
      }
      if (asked.onlyReturnExisting)
        throw new AcmeError('accountDoesNotExist', 'an account with this key does not exist');
      const binding = payload?.['externalAccountBinding'];
      const made = await accounts.create(directory, key, asked.contact ?? [], binding);
      return accountTold(directory, made.account, made.existed ? 200 : 201);
    }),
    ...byAccount('account/:id', 'Read or change an account.', async (request) => {
      const { directory, account, payload } = request;
      checkOwn(request);
      if (payload === undefined) return accountTold(directory, account, 200);
      const asked = payloadOf(changedAccount, payload);
      const after = await accounts.update(account, {
        contact: asked.contact,
        deactivate: asked.status === 'deactivated',
      });
      return accountTold(directory, after, 200);
    }),
    ...byAccount(
      'key-change',
      'Give an account another key.',
      async ({ directory, account, url, payload }) => {
        const after = await accounts.changeKey(directory, account, url, payload);
        return accountTold(directory, after, 200);
      },
    ),
    ...['orders', 'account/:id/orders'].flatMap((path) =>
      byAccount(path, 'List the orders of an account.', async (request) => {
        if (path !== 'orders') checkOwn(request);
        const { directory, account } = request;
        const all = await orders.all(account);
        return { body: { orders: all.map(({ order }) => orderUrl(directory, order.id)) } };
      }),
    ),

    ...byAccount('new-order', 'Ask for a certificate.', async ({ directory, account, payload }) => {
      const asked = payloadOf(newOrder, payload);
      if (asked.notBefore !== undefined || asked.notAfter !== undefined)
        throw malformed('NotBefore and NotAfter are not supported');
      return orderTold(directory, await orders.create(directory, account, asked.identifiers), 201);
    }),
    ...byAccount('order/:id', 'Read an order.', async ({ directory, account, params: { id } }) =>
      orderTold(directory, await orders.open(account, id), 200),
    ),
    ...byAccount(
      'order/:id/finalize',
      'Hand in the request that the certificate is made from.',
      async (request) => {
        const { directory, account, key, payload } = request;
        const csr = bytesIn(payloadOf(finalize, payload).csr, 'csr');
        return orderTold(
          directory,
          await orders.finalize(directory, account, request.params.id, csr, key.key),
          200,
        );
      },
    ),
    ...byAccount(
      'order/:id/cert',
      'Fetch the certificate of an order.',
      async ({ account, params: { id } }) => ({
        headers: { 'Content-Type': PEM_TYPE },
        body: await orders.certificate(await orders.open(account, id)),
      }),
    ),

    ...byAccount('authorization/:id', 'Read or give up an authorization.', async (request) => {
      const { directory, account, payload } = request;
      const { id } = request.params;
      if (payload !== undefined) payloadOf(deactivation, payload);
      const found =
        payload === undefined
          ? await orders.authorization(account, id)
          : await orders.deactivate(account, id);
      return { body: authorizationData(directory, found, store.now()), headers: waiting(found) };
    }),
    ...byAccount('challenge/:id/:type', 'Say that a challenge is ready to be looked at.', async (request) => {
      const { directory, account, payload } = request;
      const { id, type } = request.params;
      const known = CHALLENGES.find((one) => one === type);
      const before = await orders.authorization(account, id);
      if (known === undefined || !before.challenges.some((one) => one.type === known))
        throw malformed('unknown challenge in authorization');
      if (payload !== undefined && Object.keys(payload).length > 0)
        throw malformed('unexpected request parameters');
      const after =
        payload === undefined
          ? before
          : ((await validator.accept(before, known, account.thumbprint)) ?? before);
      const challenge = after.challenges.find((one) => one.type === known);
      if (challenge === undefined) throw malformed('unknown challenge in authorization');
      const up = `<${directory.url}authorization/${id}>;rel="up"`;
      return {
        body: challengeData(directory, id, challenge),
        headers: { Link: `${up}, <${directory.url}directory>;rel="index"`, ...waiting(after) },
      };
    }),

    ...signed('revoke-cert', 'Revoke a certificate, by its account or by its key.', async (request) => {
      await revokeSigned(request);
      return {};
    }),
  ];

  /** Section 7.6. */
  async function revokeSigned({ directory, account, key, payload }: Signed): Promise<void> {
    const asked = payloadOf(revocation, payload);
    if ((asked.reason ?? 0) !== 0)
      throw new AcmeError(
        'badRevocationReason',
        'revocation reasons are not kept here: leave it out, or send 0 (unspecified)',
      );
    const certificate = readCertificate(bytesIn(asked.certificate, 'certificate'));
    const kept = await store.certificate(certificate.serial);
    if (kept === undefined || !kept.equals(certificate.der))
      throw malformed('unable to revoke certificate: it was not issued here');
    if (account === undefined) {
      if (!spkiOf(key.key).equals(certificate.spki))
        throw new AcmeError('unauthorized', 'the request is not signed with the key of the certificate');
    } else {
      accounts.checkUsable(directory, account);
      const issued = await store.get('acme/issued', below(account.id, fileOf(certificate.serial)));
      if (issued === undefined)
        throw new AcmeError('unauthorized', 'the certificate was not issued for this account');
    }
    if ((await store.get('revoked', fileOf(certificate.serial))) !== undefined)
      throw new AcmeError('alreadyRevoked', 'unable to revoke certificate: it is revoked already');
    await revoke(store, certificate);
  }
}

/** What is off is not there. */
const off = (): { raw: RawReply } => ({
  raw: { status: 404, headers: { 'Content-Type': JSON_TYPE }, body: utf8('{"errors":[]}') },
});

function wireOf(
  { status = 200, headers = {}, body }: Told,
  common: Readonly<Record<string, string>>,
): RawReply {
  const type = body === undefined ? {} : { 'Content-Type': JSON_TYPE };
  const bytes =
    body === undefined ? new Uint8Array() : utf8(typeof body === 'string' ? body : stringify(body));
  return { status, headers: { ...type, ...common, ...headers }, body: bytes };
}

/** An account's own resources are for that account alone. */
function checkOwn({ account, params: { id } }: SignedByAccount): void {
  if (id !== account.id) throw new AcmeError('unauthorized', 'this is the account of somebody else');
}

const orderUrl = ({ url }: Directory, id: string): string => `${url}order/${id}`;

const directoryData = ({ url, settings }: Directory): Json => ({
  newNonce: `${url}new-nonce`,
  newAccount: `${url}new-account`,
  newOrder: `${url}new-order`,
  revokeCert: `${url}revoke-cert`,
  keyChange: `${url}key-change`,
  meta: { externalAccountRequired: settings.eabPolicy !== 'not-required' },
});

function accountTold(directory: Directory, account: Account, status: number): Told {
  const url = accountUrl(directory, account.id);
  return {
    status,
    headers: { Location: url },
    body: {
      status: account.status,
      orders: `${url}/orders`,
      ...(account.contact.length === 0 ? {} : { contact: account.contact }),
    },
  };
}

function orderTold(directory: Directory, { order, status, authorizations }: OpenOrder, code: number): Told {
  const url = orderUrl(directory, order.id);
  // Section 7.1.3: of an order that is over, the ones that were completed.
  const isOver = status === 'valid' || status === 'invalid';
  const told = isOver
    ? authorizations.filter((one) => one.status === 'valid').map(({ id }) => id)
    : order.authorizations;
  return {
    status: code,
    headers: { Location: url },
    body: {
      status,
      expires: iso(order.expires),
      identifiers: order.identifiers.map(({ type, value }) => ({ type, value })),
      authorizations: told.map((id) => `${directory.url}authorization/${id}`),
      finalize: `${url}/finalize`,
      ...(status === 'valid' ? { certificate: `${url}/cert` } : {}),
    },
  };
}

const authorizationData = (directory: Directory, found: Authorization, now: number): Json => ({
  identifier: { type: found.identifier.type, value: found.identifier.value },
  status: authorizationStatus(found, now),
  expires: iso(found.expires),
  wildcard: found.wildcard,
  challenges: found.challenges.map((one) => challengeData(directory, found.id, one)),
});

const challengeData = (directory: Directory, id: string, one: Challenge): Json => ({
  type: one.type,
  url: `${directory.url}challenge/${id}/${one.type}`,
  status: one.status,
  token: one.token,
  ...(one.validated === 0 ? {} : { validated: iso(one.validated) }),
  ...(one.error === undefined ? {} : { error: { ...one.error } }),
});

const waiting = ({ status, challenges }: Authorization): Readonly<Record<string, string>> =>
  status === 'pending' && challenges.some((one) => one.status === 'processing')
    ? { 'Retry-After': LOOK_AGAIN }
    : {};

const contact = z.array(z.string()).optional();
const newAccount = z.object({
  contact,
  termsOfServiceAgreed: z.boolean().optional(),
  onlyReturnExisting: z.boolean().default(false),
});
const changedAccount = z.object({ contact, status: z.string().optional() });
const newOrder = z.object({
  identifiers: z.array(z.object({ type: z.string(), value: z.string().min(1) })),
  notBefore: z.string().optional(),
  notAfter: z.string().optional(),
});
const finalize = z.object({ csr: z.string() });
const deactivation = z.object({ status: z.literal('deactivated') });
const revocation = z.object({ certificate: z.string(), reason: z.number().optional() });

/** @throws AcmeError malformed, naming the field and never its value */
function payloadOf<S extends z.ZodType>(schema: S, payload: Members | undefined): z.output<S> {
  const read = schema.safeParse(payload === undefined ? {} : { ...payload });
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw malformed(`field '${issue?.path.join('.') ?? ''}': ${issue?.message ?? 'invalid'}`);
}

/** base64url without padding. @throws AcmeError malformed */
function bytesIn(text: string, what: string): Buffer {
  if (!/^[A-Za-z0-9_-]+$/.test(text)) throw malformed(`failed base64 decoding ${what}`);
  return Buffer.from(text, 'base64url');
}

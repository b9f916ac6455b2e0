/**
 * The ACME server (RFC 8555), once for each directory of the mount. Its routes are public: each request is signed
 * (acme/session.ts). Answers are outside of Vault's envelope, as the protocol wants it, and their headers (Replay-Nonce,
 * Location, Link) always go out: a directory that is enabled works without tuning the mount.
 */

import { z } from 'zod';
import { readCertificate } from '../../../crypto/x509/certificate.ts';
import { spkiOf } from '../../../crypto/x509/keytype.ts';
import type { Mount, Route } from '../../../plugin/plugin.ts';
import type { Accounts } from '../acme/accounts.ts';
import {
  accountTold,
  authorizationData,
  challengeData,
  directoryData,
  orderTold,
  orderUrl,
  waiting,
} from '../acme/answers.ts';
import type { Members } from '../acme/jws.ts';
import { Orders } from '../acme/orders.ts';
import { AcmeError } from '../acme/problem.ts';
import { below, CHALLENGES } from '../acme/records.ts';
import { acmeSession, type Signed, type SignedByAccount } from '../acme/session.ts';
import type { Validator } from '../acme/validator.ts';
import { revoke } from '../revoking.ts';
import { fileOf, type PkiStore } from '../store.ts';

const malformed = (detail: string): AcmeError => new AcmeError('malformed', detail);
const PEM_TYPE = 'application/pem-certificate-chain';

export function acmeRoutes(mount: Mount, store: PkiStore, accounts: Accounts, validator: Validator): Route[] {
  const { read, signed, byAccount } = acmeSession(mount, store, accounts);
  const orders = new Orders(mount, store);

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

/** An account's own resources are for that account alone. */
function checkOwn({ account, params: { id } }: SignedByAccount): void {
  if (id !== account.id) throw new AcmeError('unauthorized', 'this is the account of somebody else');
}

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

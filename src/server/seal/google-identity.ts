/**
 * As whom Google Cloud is asked: by the key of a service account (which signs for itself: nobody is asked for a token), by a
 * token in a file that another issuer gave (workload identity federation), or by what the machine is given.
 */

import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { textOf } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { type Ask, trouble, verdictOf } from './ask.ts';
import { lazily } from './keyservice.ts';

export const GCPCKMS = 'gcpckms';
export const GOOGLE_METADATA = 'http://metadata.google.internal';
const SCOPE = 'https://www.googleapis.com/auth/cloudkms';
const IMPERSONATING = 'https://www.googleapis.com/auth/cloud-platform';
const TIMEOUT_MS = 5000;

export interface GoogleIdentity {
  /** URLs that it asks; none where the key signs for itself. */
  readonly asks: readonly string[];
  /** What goes behind "Bearer ". @throws Failure seal.unreachable, seal.refused */
  token(ask: Ask, signal: AbortSignal): Promise<string>;
}

const url = z.url({ protocol: /^https$/ });
const serviceAccount = z.object({
  type: z.literal('service_account'),
  client_email: z.string().min(1),
  private_key: z.string().min(1),
  private_key_id: z.string().optional(),
});
const federated = z.object({
  type: z.literal('external_account'),
  audience: z.string().min(1),
  subject_token_type: z.string().min(1),
  token_url: url,
  service_account_impersonation_url: url.optional(),
  // Of a file alone: the same format can name programs to run, and addresses to ask.
  credential_source: z.object({
    file: z.string().min(1),
    format: z
      .union([
        z.object({ type: z.literal('text') }),
        z.object({ type: z.literal('json'), subject_token_field_name: z.string().min(1) }),
      ])
      .optional(),
  }),
});

/** @throws Failure cli.unreadable, config.refused */
export async function googleIdentity(path: string): Promise<GoogleIdentity> {
  const text = await readFile(path, 'utf8').catch(() => {
    throw failure('cli.unreadable', { path });
  });
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    // Refused below; the parser's own error may quote a key.
  }
  const account = serviceAccount.safeParse(read);
  if (account.success) return signing(account.data);
  const pool = federated.safeParse(read);
  if (pool.success) return fromPool(pool.data);
  throw failure('config.refused', {
    reason: `${path}: it holds no key of a service account, and no federated identity whose token is in a file`,
    mend: 'Name such a JSON file as `credentials`; identities of people and those that run programs are not taken.',
  });
}

function signing({
  client_email: email,
  private_key: key,
  private_key_id: keyId,
}: z.output<typeof serviceAccount>) {
  const client = lazily(async () => {
    const { JWT } = await import('./google-sdk.ts');
    const jwt = new JWT({ email, key, scopes: [SCOPE], ...(keyId === undefined ? {} : { keyId }) });
    jwt.useJWTAccessWithScope = true;
    return jwt;
  });
  return {
    asks: [],
    async token(): Promise<string> {
      const jwt = await client();
      // The library's own error may quote the key.
      const headers = await jwt.getRequestHeaders().catch(() => {
        throw trouble(GCPCKMS, 'refused', 'the key of its service account is none');
      });
      return (headers.get('authorization') ?? '').replace(/^Bearer /, '');
    },
  };
}

/**
 * The exchange of tokens (RFC 8693) at Google's security token service, and of what it gives for a token of the service account
 * that is to be impersonated, if one is. Asked here and not by Google's library: that one asks by a way of its own.
 */
function fromPool(given: z.output<typeof federated>): GoogleIdentity {
  const { token_url, service_account_impersonation_url: impersonation } = given;
  return {
    asks: [token_url, ...(impersonation === undefined ? [] : [impersonation])],
    async token(ask, signal) {
      const form = new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        audience: given.audience,
        scope: impersonation === undefined ? SCOPE : IMPERSONATING,
        requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        subject_token_type: given.subject_token_type,
        subject_token: await subjectToken(given.credential_source),
      });
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      const sent = { url: token_url, method: 'POST', headers, body: form.toString() };
      const { access_token } = await answered(ask, sent, exchanged, signal);
      if (impersonation === undefined) return access_token;
      const own = { 'content-type': 'application/json', authorization: `Bearer ${access_token}` };
      const body = JSON.stringify({ scope: [SCOPE], lifetime: '600s' });
      const asked = { url: impersonation, method: 'POST', headers: own, body };
      return (await answered(ask, asked, impersonated, signal)).accessToken;
    },
  };
}

const exchanged = z.object({ access_token: z.string().min(1) });
const impersonated = z.object({ accessToken: z.string().min(1) });

/** Read again each time: whoever issues it renews it. */
async function subjectToken({
  file,
  format,
}: z.output<typeof federated>['credential_source']): Promise<string> {
  const text = (await readFile(file, 'utf8').catch(() => '')).trim();
  const token = format?.type === 'json' ? fieldOf(text, format.subject_token_field_name) : text;
  if (typeof token === 'string' && token !== '') return token;
  throw trouble(GCPCKMS, 'refused', 'the file with its token is missing or empty');
}

function fieldOf(text: string, name: string): unknown {
  const read = jsonOf(text);
  return typeof read === 'object' && read !== null && Object.hasOwn(read, name)
    ? (read as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function jsonOf(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}

/** One request for a token. @throws Failure seal.unreachable, seal.refused */
async function answered<T>(
  ask: Ask,
  request: Pick<Parameters<Ask>[0], 'url' | 'method' | 'headers' | 'body'>,
  schema: z.ZodType<T>,
  signal: AbortSignal,
): Promise<T> {
  const sent = { ...request, timeoutMs: TIMEOUT_MS, signal };
  const { status, body } = await ask(sent).catch((error: unknown) => {
    throw trouble(GCPCKMS, 'away', 'no connection to what gives it its identity', error);
  });
  if (status !== 200)
    throw trouble(GCPCKMS, verdictOf(status), `what gives it its identity answers HTTP ${status}`);
  const { success, data } = schema.safeParse(jsonOf(textOf(body)));
  if (!success) throw trouble(GCPCKMS, 'refused', 'what gives it its identity gave no token');
  return data;
}

/** The identity of the machine or, on GKE, of the pod, by the metadata server. */
export const googleMachine: GoogleIdentity = {
  asks: [GOOGLE_METADATA],
  async token(ask, signal) {
    const url = `${GOOGLE_METADATA}/computeMetadata/v1/instance/service-accounts/default/token`;
    const request = { url, method: 'GET', headers: { 'metadata-flavor': 'Google' } };
    return (await answered(ask, request, exchanged, signal)).access_token;
  },
};

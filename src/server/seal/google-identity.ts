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

function fromPool(given: z.output<typeof federated>): GoogleIdentity {
  const { token_url, service_account_impersonation_url: impersonation } = given;
  const clientBy = (ask: Ask) =>
    lazily(async () => {
      const { Gaxios, IdentityPoolClient } = await import('./google-sdk.ts');
      const transporter = new Gaxios({ fetchImplementation: fetchBy(ask), retry: false });
      return new IdentityPoolClient({ ...given, scopes: [SCOPE], transporter } as ConstructorParameters<
        typeof IdentityPoolClient
      >[0]);
    });
  let client: ReturnType<typeof clientBy> | undefined;
  return {
    asks: [token_url, ...(impersonation === undefined ? [] : [impersonation])],
    async token(ask) {
      client ??= clientBy(ask);
      const pool = await client();
      try {
        const { token } = await pool.getAccessToken();
        if (typeof token === 'string' && token !== '') return token;
      } catch (error) {
        const status = Number((error as { status?: unknown }).status ?? 0);
        if (status === 0) throw trouble(GCPCKMS, 'away', 'no token from what gives it its identity', error);
        throw trouble(GCPCKMS, verdictOf(status), `what gives it its identity answers HTTP ${status}`);
      }
      throw trouble(GCPCKMS, 'refused', 'what gives it its identity gave no token');
    },
  };
}

/** The `fetch` that Google's library asks with. */
const fetchBy =
  (ask: Ask): typeof fetch =>
  async (input, init) => {
    const sent = new Request(input, init);
    const text = await sent.text();
    const { status, body } = await ask({
      url: sent.url,
      method: sent.method,
      headers: Object.fromEntries(sent.headers),
      ...(text === '' ? {} : { body: text }),
      timeoutMs: TIMEOUT_MS,
      signal: sent.signal,
    });
    return new Response(Buffer.from(body), { status, headers: { 'content-type': 'application/json' } });
  };

const machineToken = z.object({ access_token: z.string().min(1) });

/** The identity of the machine or, on GKE, of the pod, by the metadata server. */
export const googleMachine: GoogleIdentity = {
  asks: [GOOGLE_METADATA],
  async token(ask, signal) {
    const { status, body } = await ask({
      url: `${GOOGLE_METADATA}/computeMetadata/v1/instance/service-accounts/default/token`,
      method: 'GET',
      headers: { 'metadata-flavor': 'Google' },
      timeoutMs: TIMEOUT_MS,
      signal,
    }).catch((error: unknown) => {
      throw trouble(GCPCKMS, 'away', 'no connection to what gives this machine its identity', error);
    });
    if (status !== 200)
      throw trouble(
        GCPCKMS,
        verdictOf(status),
        `what gives this machine its identity answers HTTP ${status}`,
      );
    let read: unknown;
    try {
      read = JSON.parse(textOf(body) ?? '');
    } catch {
      // Told as an answer without anything in it.
    }
    const { success, data } = machineToken.safeParse(read);
    if (!success) throw trouble(GCPCKMS, 'refused', 'what gives this machine its identity gave no token');
    return data.access_token;
  },
};

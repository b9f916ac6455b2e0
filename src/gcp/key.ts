/** The key of a service account, as Google's console gives it: it signs an assertion, for which there is a token (RFC 7523). */

import { createPrivateKey } from 'node:crypto';
import { z } from 'zod';
import { failure } from '../base/errors.ts';
import type { GoogleAuthSpec } from './spec.ts';
import { CLOUD_PLATFORM, type GoogleEnv, type TokenOptions, type TokenSource, tokenOf } from './token.ts';
import { type GoogleWay, jsonIn, transportOver } from './transport.ts';

const accountKey = z.object({
  type: z.literal('service_account'),
  client_email: z.string().min(1),
  private_key: z.string().refine(isPrivateKey),
  private_key_id: z.string().optional(),
});

function isPrivateKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).asymmetricKeyType === 'rsa';
  } catch {
    return false;
  }
}

type AccountKey = z.output<typeof accountKey>;

/** The key that a Secret holds. @throws Failure operator.ref_*, provider.spec for what is no such key */
export async function accountKeyOf(
  { secretAccessKeySecretRef: { name, key, namespace } }: NonNullable<GoogleAuthSpec['secretRef']>,
  env: Pick<GoogleEnv, 'store' | 'secretKey'>,
): Promise<AccountKey> {
  const bytes = await env.secretKey({ name, key, ...(namespace === undefined ? {} : { namespace }) });
  const { success, data } = accountKey.safeParse(jsonIn(bytes));
  if (success) return data;
  throw failure('provider.spec', {
    store: env.store,
    reason: `the key ${key} of Secret "${name}" holds no key of a Google service account (JSON)`,
  });
}

/** @throws Failure operator.ref_*, provider.spec for what is no such key */
export async function byKey(
  ref: NonNullable<GoogleAuthSpec['secretRef']>,
  env: GoogleEnv,
  way: GoogleWay,
  { now }: TokenOptions,
): Promise<TokenSource> {
  const data = await accountKeyOf(ref, env);
  return async () => {
    const { JWT } = await import('./sdk.ts');
    const transport = transportOver(way);
    const client = new JWT({
      email: data.client_email,
      key: data.private_key,
      ...(data.private_key_id === undefined ? {} : { keyId: data.private_key_id }),
      scopes: [CLOUD_PLATFORM],
      transporterOptions: transport.transporterOptions,
    });
    return tokenOf(client, env.store, transport, now);
  };
}

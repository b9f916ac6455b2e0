/**
 * `auth.cert`: the certificate that the connection itself shows. It is shown by every request, because a server renews such
 * a token only for who shows the certificate again.
 */

import { createSecureContext } from 'node:tls';
import { failure } from '../../../base/errors.ts';
import type { ProviderEnv } from '../../../provider/provider.ts';
import { askOr, type Method, mountOf, textAt } from './login.ts';
import type { Given } from './spec.ts';

/** A client's certificate and its key, both PEM. */
export interface ClientPair {
  readonly clientCert: string;
  readonly clientKey: string;
}

/**
 * What the connection of a store with `auth.cert` shows; undefined where it leaves that to `tls` of the store.
 * @throws Failure provider.spec, operator.ref_*
 */
export async function clientPairOf(
  { clientCert: cert, secretRef: key }: Given<'cert'>,
  env: ProviderEnv,
): Promise<ClientPair | undefined> {
  if (cert === undefined || key === undefined) return undefined;
  const pair = {
    clientCert: await textAt(env, { ...cert, key: cert.key ?? 'tls.crt' }, 'certificate'),
    clientKey: await textAt(env, { ...key, key: key.key ?? 'tls.key' }, 'private key'),
  };
  try {
    createSecureContext({ cert: pair.clientCert, key: pair.clientKey });
  } catch {
    // OpenSSL's words are left out: they are about a key.
    throw failure('provider.spec', {
      store: env.store,
      reason: `auth.cert: Secret ${cert.name} and Secret ${key.name} do not hold a certificate and its key in PEM`,
    });
  }
  return pair;
}

/** @throws Failure provider.login, provider.spec; api.* where the server is not to be reached */
export const byCert: Method<Given<'cert'>> = async ({ path, vaultRole }, at) => {
  const mount = mountOf(path);
  const role = vaultRole.trim();
  if (!at.client.address.startsWith('https:'))
    throw failure('provider.spec', {
      store: at.env.store,
      reason: 'auth.cert needs an https:// server: nothing else takes a certificate',
    });
  const whose = role === '' ? 'a role of it' : `its role ${JSON.stringify(role)}`;
  return await askOr(
    `Check that auth/${mount} is enabled, that ${whose} trusts this certificate, and that nothing on the way to the server ends TLS.`,
    at,
    { mount, body: role === '' ? {} : { name: role } },
  );
};

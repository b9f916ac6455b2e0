/**
 * GithubAccessToken: a token of an installation of a GitHub App, for an hour. The App proves itself by a token that its
 * private key signs (GitHub, "Generating a JSON Web Token (JWT) for a GitHub App").
 */

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import { textOf, utf8 } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { failure } from '../base/errors.ts';
import { githubAccessTokenSpec } from '../operator/api/generators/schemas.ts';
import type { GeneratorType } from '../provider/generator.ts';
import type { ProviderEnv } from '../provider/provider.ts';

type Spec = ReturnType<typeof githubAccessTokenSpec.parse>;

const API = 'https://api.github.com';
/** A clock that goes ahead of GitHub's must not make a token of the future. */
const BACKDATE_SECONDS = 10;
const LIFE_SECONDS = 300;
const TIMEOUT_MS = 30_000;

const MENDS: Readonly<Record<number, string>> = {
  401: 'Check appID, and that the private key is one of that App.',
  403: 'Check what the App was granted where it is installed.',
  404: 'Check installID, and that the App is installed there.',
  422: 'Ask for no repositories and permissions that the App does not have where it is installed.',
};

export const createGithubGenerator = (clock: Pick<Clock, 'now'>): GeneratorType<Spec> => ({
  kind: 'GithubAccessToken',
  spec: githubAccessTokenSpec,
  async generate(spec, env, _reserve, signal) {
    const { store } = env;
    const asked = {
      ...(spec.permissions === undefined ? {} : { permissions: spec.permissions }),
      ...(spec.repositories.length === 0 ? {} : { repositories: spec.repositories }),
    };
    const answer = await env.wayOut.dial({
      url: addressOf(spec, store),
      method: 'POST',
      headers: {
        Authorization: `Bearer ${await proof(spec, env, clock)}`,
        Accept: 'application/vnd.github.v3+json',
        'User-Agent': 'external-secrets',
        'Content-Type': 'application/json',
      },
      ...(Object.keys(asked).length === 0 ? {} : { body: JSON.stringify(asked) }),
      timeoutMs: TIMEOUT_MS,
      ...(signal === undefined ? {} : { signal }),
    });
    const path = 'an installation token';
    if (answer.status >= 500 || answer.status === 429)
      throw failure('provider.read', { store, path, reason: `GitHub answers ${answer.status}` });
    if (answer.status >= 300)
      throw failure('provider.denied', {
        store,
        path,
        reason: `error generating token: response code: ${answer.status}`,
        mend: MENDS[answer.status] ?? 'Check url.',
      });
    const token = tokenIn(answer.body);
    if (token === undefined)
      throw failure('provider.read', {
        store,
        path,
        reason: "token isn't a string or token key doesn't exist",
      });
    return new Map([['token', utf8(token)]]);
  },
});

/** @throws Failure provider.spec */
function addressOf({ url, installID }: Spec, store: string): string {
  const base = url === '' ? API : url.replace(/\/+$/, '');
  if (!/^https?:\/\//.test(base) || !URL.canParse(base))
    throw failure('provider.spec', { store, reason: 'url is not the address of a GitHub API' });
  if (!/^\d{1,32}$/.test(installID))
    throw failure('provider.spec', { store, reason: 'installID is not a number' });
  return `${base}/app/installations/${installID}/access_tokens`;
}

/** @throws Failure operator.ref_*, provider.spec */
async function proof({ appID, auth }: Spec, env: ProviderEnv, clock: Pick<Clock, 'now'>): Promise<string> {
  const { name, key, namespace } = auth.privateKey.secretRef;
  const pem = await env.secretKey({ name, key, ...(namespace === undefined ? {} : { namespace }) });
  const now = Math.floor(clock.now() / 1000);
  return new SignJWT({})
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT' })
    .setIssuer(appID)
    .setIssuedAt(now - BACKDATE_SECONDS)
    .setExpirationTime(now + LIFE_SECONDS)
    .sign(rsaKey(pem, env.store, name, key));
}

function rsaKey(pem: Uint8Array, store: string, name: string, key: string): KeyObject {
  try {
    const read = createPrivateKey(Buffer.from(pem));
    if (read.asymmetricKeyType === 'rsa') return read;
  } catch {
    // Told below: what OpenSSL says of a key is nothing for a message.
  }
  throw failure('provider.spec', {
    store,
    reason: `the key ${key} of Secret "${name}" holds no RSA private key in PEM`,
  });
}

function tokenIn(body: Uint8Array): string | undefined {
  try {
    const { token } = JSON.parse(textOf(body) ?? '') as { readonly token?: unknown };
    return typeof token === 'string' && token !== '' ? token : undefined;
  } catch {
    return undefined;
  }
}

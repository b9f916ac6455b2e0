/**
 * Entra ID and a key vault of Azure as far as the seal uses them: the challenge of the vault, tokens for a secret or for a
 * token of another issuer, and RSA keys with versions.
 */

import {
  constants,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import type { Answer } from '../../../src/server/seal/ask.ts';
import { type Double, type DoubleRequest, jsonAnswer } from './double.ts';

export interface AzureDouble extends Double {
  readonly tenant: string;
  readonly client: string;
  readonly secret: string;
  /** Of the workload identity. */
  readonly assertion: string;
  readonly keyName: string;
  /** What the challenge says that tokens are for; empty: the vault's own suffix, as Azure does. */
  challengeFor: string;
  /** The dates of the key say that it has expired. */
  expired: boolean;
}

/** @param vault URL of the vault, @param authority URL of Entra ID */
export function azureDouble(vault: string, authority: string): AzureDouble {
  const keys = new Map<string, { readonly privateKey: KeyObject; readonly publicKey: KeyObject }>();
  const newVersion = (): void => {
    keys.set(randomBytes(16).toString('hex'), generateKeyPairSync('rsa', { modulusLength: 2048 }));
  };
  newVersion();
  let state: 'enabled' | 'disabled' | 'gone' = 'enabled';
  let isDenied = false;
  const token = `canary.${randomBytes(24).toString('base64url')}`;
  const suffix = new URL(vault).hostname.split('.').slice(1).join('.');
  const error = (status: number, code: string, inner?: string): Answer =>
    jsonAnswer(status, {
      error: { code, message: 'no', ...(inner === undefined ? {} : { innererror: { code: inner } }) },
    });

  function handle(request: DoubleRequest): Answer {
    return request.url.origin === new URL(authority).origin && !request.url.pathname.startsWith('/keys/')
      ? entra(request)
      : keyVault(request);
  }

  function entra({ url, body }: DoubleRequest): Answer {
    const base = `${authority}/${double.tenant}`;
    if (url.pathname.endsWith('/.well-known/openid-configuration'))
      return jsonAnswer(200, {
        token_endpoint: `${base}/oauth2/v2.0/token`,
        authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
        issuer: `${base}/v2.0`,
        jwks_uri: `${base}/discovery/v2.0/keys`,
        end_session_endpoint: `${base}/oauth2/v2.0/logout`,
      });
    if (url.pathname !== `/${double.tenant}/oauth2/v2.0/token`) return error(404, 'not_found');
    const form = new URLSearchParams(body);
    const isKnown =
      form.get('client_id') === double.client &&
      (form.get('client_secret') === double.secret || form.get('client_assertion') === double.assertion);
    if (!isKnown || form.get('scope') !== `https://${suffix}/.default`)
      return jsonAnswer(401, {
        error: 'invalid_client',
        error_description: 'AADSTS7000215: Invalid client secret provided.',
        error_codes: [7000215],
      });
    return jsonAnswer(200, {
      token_type: 'Bearer',
      expires_in: 3599,
      ext_expires_in: 3599,
      access_token: token,
    });
  }

  function keyVault({ url, method, headers, body }: DoubleRequest): Answer {
    if (headers['authorization'] !== `Bearer ${token}`)
      return jsonAnswer(
        401,
        { error: { code: 'Unauthorized', message: 'no token' } },
        {
          challenge: `Bearer authorization="${authority}/${double.tenant}", resource="https://${double.challengeFor || suffix}"`,
        },
      );
    const [, , name = '', version = '', what = ''] = url.pathname.split('/');
    if (isDenied) return error(403, 'Forbidden', 'ForbiddenByRbac');
    if (name !== double.keyName || state === 'gone') return error(404, 'KeyNotFound');
    const [newest = ''] = [...keys.keys()].slice(-1);
    const used = version === '' || (method === 'POST' && what === '') ? newest : version;
    const operation = what === '' && method === 'POST' ? version : what;
    const pair = keys.get(used);
    if (pair === undefined) return error(404, 'KeyNotFound');
    const { n, e } = pair.publicKey.export({ format: 'jwk' });
    const kid = `${vault}/keys/${name}/${used}`;
    if (method === 'GET')
      return jsonAnswer(200, {
        key: { kid, kty: 'RSA', key_ops: ['wrapKey', 'unwrapKey'], n, e },
        attributes: {
          enabled: state === 'enabled',
          created: 1,
          updated: 1,
          ...(double.expired ? { exp: 1000 } : {}),
        },
      });
    if (state === 'disabled') return error(403, 'Forbidden', 'KeyDisabled');
    const { alg, value } = JSON.parse(body);
    if (alg !== 'RSA-OAEP-256') return error(400, 'BadParameter');
    const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
    const answered =
      double.fault === 'forged' ? kid.replace(/[^/]+$/, 'f'.repeat(32)).replace(name, `${name}2`) : kid;
    try {
      const bytes = Buffer.from(value, 'base64url');
      const made =
        operation === 'wrapkey'
          ? publicEncrypt({ key: pair.publicKey, ...padding }, bytes)
          : privateDecrypt({ key: pair.privateKey, ...padding }, bytes);
      return jsonAnswer(200, { kid: answered, value: made.toString('base64url') });
    } catch {
      return error(400, 'BadParameter');
    }
  }

  const double: AzureDouble = {
    handle,
    fault: 'none',
    requests: [],
    tenant: '11111111-2222-3333-4444-555555555555',
    client: '99999999-8888-7777-6666-555555555555',
    secret: 'canary-azure-secret',
    assertion: 'eyJhbGciOiJSUzI1NiJ9.canary-assertion.c2ln',
    keyName: 'unseal',
    challengeFor: '',
    expired: false,
    rotate: newVersion,
    disable() {
      state = 'disabled';
    },
    remove() {
      state = 'gone';
    },
    deny() {
      isDenied = true;
    },
  };
  return double;
}

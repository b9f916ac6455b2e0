/** The certificate authority that a store trusts, as every provider's `caBundle` and `caProvider` name it. */

import { fromBase64, textOf } from '../base/bytes.ts';
import { failure } from '../base/errors.ts';
import type { ProviderEnv } from './provider.ts';

export interface AuthoritySpec {
  /** PEM, or PEM in base64. */
  readonly caBundle?: string | undefined;
  readonly caProvider?:
    | {
        readonly type: 'Secret' | 'ConfigMap';
        readonly name: string;
        readonly key?: string | undefined;
        readonly namespace?: string | undefined;
      }
    | undefined;
}

/**
 * PEM, or undefined where the system's authorities are meant. The bundle goes before the reference.
 * @throws Failure provider.spec, operator.ref_*
 */
export async function authorityOf(spec: AuthoritySpec, env: ProviderEnv): Promise<string | undefined> {
  if (spec.caBundle !== undefined && spec.caBundle !== '') return pem(spec.caBundle, env.store);
  const from = spec.caProvider;
  if (from === undefined) return undefined;
  const ref = {
    name: from.name,
    key: from.key ?? 'ca.crt',
    ...(from.namespace === undefined ? {} : { namespace: from.namespace }),
  };
  const bytes = await (from.type === 'Secret' ? env.secretKey(ref) : env.configMapKey(ref));
  return pem(textOf(bytes) ?? '', env.store);
}

/** PEM, or PEM in base64, as both are found in stores. */
function pem(given: string, store: string): string {
  if (given.includes('-----BEGIN CERTIFICATE-----')) return given;
  const decoded = fromBase64(given.replace(/\s+/g, ''));
  const text = decoded === undefined ? undefined : textOf(decoded);
  if (text?.includes('-----BEGIN CERTIFICATE-----') !== true)
    throw failure('provider.spec', {
      store,
      reason: 'its certificate authority is neither PEM nor PEM in base64',
    });
  return text;
}

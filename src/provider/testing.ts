/**
 * What the tests of providers share: what a provider may ask of the cluster, with everything refused but what the test gives,
 * and short words for values, pushes, reads and refusals.
 */

import { textOf, utf8 } from '../base/bytes.ts';
import { failure } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import { NO_WAY_OUT } from './egress.ts';
import { lookup } from './property.ts';
import type { Finder, Provider, ProviderEnv, Value } from './provider.ts';

export const testEnv = (given: Partial<ProviderEnv> = {}): ProviderEnv => ({
  store: 'SecretStore team/store',
  cluster: false,
  log: silentLog,
  wayOut: NO_WAY_OUT,
  secret: async ({ name }) => {
    throw failure('operator.ref_missing', { kind: 'Secret', name, namespace: 'team' });
  },
  namespace: () => 'team',
  secretKey: async ({ name }) => {
    throw failure('operator.ref_missing', { kind: 'Secret', name, namespace: 'team' });
  },
  configMapKey: async ({ name }) => {
    throw failure('operator.ref_missing', { kind: 'ConfigMap', name, namespace: 'team' });
  },
  serviceAccountAnnotations: async ({ name }) => {
    throw failure('operator.ref_missing', { kind: 'ServiceAccount', name, namespace: 'team' });
  },
  serviceAccountToken: async ({ name }) => {
    throw failure('operator.ref_missing', { kind: 'ServiceAccount', name, namespace: 'team' });
  },
  resolve: (host, port) => ({ host, port }),
  ...given,
});

/** A value with properties, as a push of a whole Secret is. */
export const object = (fields: Readonly<Record<string, string>>): Value => ({
  fields: new Map(Object.entries(fields).map(([key, text]) => [key, utf8(text)])),
  json: JSON.stringify(fields),
});

/** A value of one piece, as a push of one key is. */
export const entry = (value: string | Uint8Array): Value => ({
  bytes: typeof value === 'string' ? utf8(value) : value,
});

/** `metadata` of a push, with this `spec`. */
export const meta = (spec: object): object => ({
  apiVersion: 'kubernetes.external-secrets.io/v1alpha1',
  kind: 'PushSecretMetadata',
  spec,
});

/** What a failure tells. */
export interface Said {
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string;
  readonly retryAfterMs?: number;
}

/** The failure that something ended in; without a code where it ended in none. */
export async function said(run: Promise<unknown> | undefined): Promise<Said> {
  try {
    await run;
  } catch (error) {
    return error as Said;
  }
  return {};
}

/** A value, or a property of it, as text; undefined where the store has no such secret. */
export async function textAt(
  provider: Provider,
  key: string,
  property = '',
  version?: string,
): Promise<string | undefined> {
  const read = await provider.get({ key, ...(version === undefined ? {} : { version }) });
  return read === undefined ? undefined : textOf(lookup(read.value, property, key));
}

/** The names that a search gives, in the order of the store. */
export async function findings(provider: Provider, query: Parameters<Finder['find']>[0]): Promise<string[]> {
  const names = [];
  for await (const [name] of provider.find?.(query) ?? []) names.push(name);
  return names;
}

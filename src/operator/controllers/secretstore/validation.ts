/** What is wrong with a SecretStore or ClusterSecretStore as it is written, before anybody asks the store itself. Pure. */

import { RE2JS } from 're2js';
import { parseDuration } from '../../../base/duration.ts';
import { asFailure, type Failure, failure } from '../../../base/errors.ts';
import type { KubeObject } from '../../../kube/kube.ts';
import type { ProviderType } from '../../../provider/provider.ts';
import { type StoreSpec, storeSpec } from '../../api/store.ts';
import { providerOf } from '../../connections.ts';

/**
 * Everything that is wrong with a store; empty: nothing. What its provider says is the cause that its condition would tell;
 * regexes and intervals are upstream's webhook's to refuse, and a condition does not mention them.
 */
export function storeWrongs(store: KubeObject, providers: readonly ProviderType[]): readonly Failure[] {
  const cause = causeOf(store, providers);
  const parsed = storeSpec.safeParse(store['spec']);
  const reasons = parsed.success ? [...regexes(parsed.data), ...interval(parsed.data)] : [];
  return [
    ...(cause === undefined ? [] : [cause]),
    ...(reasons.length === 0 ? [] : [failure('operator.spec_invalid', { reason: reasons.join('; ') })]),
  ];
}

/** Providers that upstream marks as not maintained. Source: external-secrets v2.9, `MaintenanceStatus` of its providers. */
const UNMAINTAINED = new Set(['fake']);

/** Upstream's word on a store whose provider nobody maintains; empty: nothing is to be said. */
export function storeWarnings(store: KubeObject): readonly string[] {
  const parsed = storeSpec.safeParse(store['spec']);
  if (!parsed.success) return [];
  const named = Object.keys(parsed.data.provider).some((name) => UNMAINTAINED.has(name));
  const { name } = store.metadata;
  return named ? [`store ${name} isn't currently maintained. Please plan and prepare accordingly.`] : [];
}

function causeOf(store: KubeObject, providers: readonly ProviderType[]): Failure | undefined {
  try {
    providerOf(store, providers);
    return undefined;
  } catch (error) {
    return asFailure(error);
  }
}

function* regexes({ conditions }: StoreSpec): Iterable<string> {
  for (const [at, { namespaceRegexes = [] }] of conditions.entries())
    for (const [index, pattern] of namespaceRegexes.entries()) {
      try {
        RE2JS.compile(pattern);
      } catch {
        yield `failed to compile ${index}th namespace regex in ${at}th condition: it is no regular expression of RE2`;
      }
    }
}

function* interval({ refreshInterval }: StoreSpec): Iterable<string> {
  // A number is seconds, and an empty text is as good as none.
  if (typeof refreshInterval !== 'string' || refreshInterval === '') return;
  try {
    parseDuration(refreshInterval);
  } catch {
    yield `spec.refreshInterval ${JSON.stringify(refreshInterval.slice(0, 40))} is not a duration such as 1h30m`;
  }
}

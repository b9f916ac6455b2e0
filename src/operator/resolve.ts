/**
 * The one place where a store's reference becomes a name in a namespace. A namespaced store reaches its own namespace and
 * no other, whatever its manifest says (external-secrets GHSA-wv26-88m5-6h59 is what a second place cost).
 */

import { failure } from '../base/errors.ts';
import type { StoreName } from './plan.ts';

export interface StoreScope {
  readonly store: StoreName;
  /** A SecretStore's own namespace. */
  readonly namespace?: string;
  /** The namespace of the ExternalSecret that a ClusterSecretStore is used for; absent while it is only validated. */
  readonly referent?: string;
}

/**
 * The namespace that a reference means.
 * @param what the kind and name referred to, for messages
 * @throws Failure operator.ref_namespace, operator.ref_referent
 */
export function resolveRef(
  scope: StoreScope,
  ref: { readonly namespace?: string | undefined },
  what: { readonly kind: string; readonly name: string },
): string {
  const named = ref.namespace ?? '';
  if (scope.store.kind === 'SecretStore') {
    const own = scope.namespace ?? '';
    if (named !== '' && named !== own) throw failure('operator.ref_namespace');
    return own;
  }
  const namespace = named || scope.referent;
  if (namespace === undefined || namespace === '') throw failure('operator.ref_referent', what);
  return namespace;
}

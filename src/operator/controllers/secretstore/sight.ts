/** What an ExternalSecret of some namespace may see of a store: whether it exists, is ours, is ready and lets it in. Pure. */

import { RE2JS } from 're2js';
import { failure } from '../../../base/errors.ts';
import type { KubeObject } from '../../../kube/kube.ts';
import { matchesSelector } from '../../../kube/selectors.ts';
import type { Condition } from '../../api/externalsecret.ts';
import type { LabelSelector, StoreCondition } from '../../api/store.ts';
import { readyOf } from '../../conditions.ts';
import type { StoreName } from '../../plan.ts';
import type { StoreSight } from '../externalsecret/observed.ts';

export interface Namespace {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Whether a store of this controller class is ours. */
export const isOurs = (controller: unknown, controllerClass: string): boolean =>
  controller === undefined || controller === '' || controller === controllerClass;

/**
 * @param object the store, where there is one
 * @param otherKind whether the name exists as the other kind that this namespace could name instead
 */
export function sightOf(
  store: StoreName,
  object: KubeObject | undefined,
  namespace: Namespace,
  controllerClass: string,
  otherKind: boolean,
): StoreSight {
  const { kind, name } = store;
  if (object === undefined) {
    const other = kind === 'SecretStore' ? 'ClusterSecretStore' : 'SecretStore';
    const place = kind === 'SecretStore' ? ` in namespace "${namespace.name}"` : '';
    const hint = otherKind ? `; a ${other} of that name exists: set secretStoreRef.kind to ${other}` : '';
    return { refused: failure('operator.store_missing', { kind, name, where: `${place}${hint}` }) };
  }
  const spec = (object['spec'] ?? {}) as { controller?: unknown; conditions?: readonly StoreCondition[] };
  if (!isOurs(spec.controller, controllerClass)) return { foreign: true };
  if (kind === 'ClusterSecretStore' && !admits(spec.conditions ?? [], namespace)) {
    return { refused: failure('operator.store_denied', { name, namespace: namespace.name }) };
  }
  const ready = readyOf((object['status'] as { conditions?: Condition[] } | undefined)?.conditions);
  if (ready?.status !== 'True') {
    const reason = ready?.message ?? 'it has not been checked yet';
    const refused = failure('operator.store_not_ready', { kind, name, reason });
    return { refused, ...(ready === undefined ? { unchecked: true } : {}) };
  }
  return { usable: true };
}

/** Whether any condition lets the namespace in; everything in them is ORed, and no conditions admit all. */
export function admits(conditions: readonly StoreCondition[], namespace: Namespace): boolean {
  if (conditions.length === 0) return true;
  return conditions.some(
    ({ namespaces, namespaceRegexes, namespaceSelector }) =>
      namespaces?.includes(namespace.name) === true ||
      namespaceRegexes?.some((pattern) => finds(pattern, namespace.name)) === true ||
      (namespaceSelector !== undefined && selects(namespaceSelector, namespace)),
  );
}

/** RE2, because the pattern is a tenant's and the search is ours. One that does not compile admits nobody. */
function finds(pattern: string, name: string): boolean {
  try {
    return RE2JS.compile(pattern).matcher(name).find();
  } catch {
    return false;
  }
}

function selects(selector: LabelSelector, namespace: Namespace): boolean {
  // The API server sets this label on every namespace; one that is too old to have it is told by its name.
  const labels = { ...namespace.labels, 'kubernetes.io/metadata.name': namespace.name };
  try {
    return matchesSelector(selector, labels);
  } catch {
    // A selector that cannot be read admits nobody.
    return false;
  }
}

/** By what a PushSecret is found when something in the cluster changes. */

import { withoutNulls } from '../../../base/shape.ts';
import type { KubeObject } from '../../../kube/kube.ts';
import { type PushSecretSpec, pushSecretSpec, pushSecretStatus } from '../../api/pushsecret.ts';
import { storeKey } from '../../connections.ts';
import type { StoreName } from '../../plan.ts';
import { formerStores, kindOf, templatesOf } from './observed.ts';

export interface PushKeys {
  /** The places of the stores that it names, and of those that it has pushed to. */
  readonly stores: readonly string[];
  /** What it reads: "Secret/team/app". */
  readonly sources: readonly string[];
  /** What it finds by labels: "Secret/team", "SecretStore/team", "ClusterSecretStore/". */
  readonly selects: readonly string[];
  /** The stores that must not go before it has taken away what it pushed there. */
  readonly holds: readonly string[];
}

const NONE: PushKeys = { stores: [], sources: [], selects: [], holds: [] };
/** Each object is asked for each index, when it comes and when it goes. */
const known = new WeakMap<KubeObject, PushKeys>();

export function pushKeysOf(object: KubeObject): PushKeys {
  const had = known.get(object);
  if (had !== undefined) return had;
  const keys = keysOf(object);
  known.set(object, keys);
  return keys;
}

/** Where stores of a kind are found by labels: those of a namespace, or those of the cluster. */
export const selection = (kind: string, namespace: string): string =>
  `${kind}/${kind === 'ClusterSecretStore' ? '' : namespace}`;

function keysOf(object: KubeObject): PushKeys {
  const { namespace = '' } = object.metadata;
  const parsed = pushSecretSpec.safeParse(object['spec']);
  const status = pushSecretStatus.safeParse(withoutNulls(object['status'] ?? {}));
  const former = status.success ? formerStores(status.data) : [];
  const placeOf = ({ kind, name }: StoreName): string =>
    storeKey(kind, kind === 'SecretStore' ? namespace : undefined, name);
  if (!parsed.success) return { ...NONE, stores: former.map(placeOf) };
  const spec = parsed.data;
  const stores = [...new Set([...named(spec), ...former].map(placeOf))];
  const { secret } = spec.selector;
  return {
    stores,
    sources: [
      ...(secret?.name === undefined ? [] : [`Secret/${namespace}/${secret.name}`]),
      ...templatesOf(spec).map(({ kind, name }) => `${kind}/${namespace}/${name}`),
    ],
    selects: [
      ...(secret !== undefined && secret.name === undefined ? [selection('Secret', namespace)] : []),
      ...spec.secretStoreRefs
        .filter(({ labelSelector }) => labelSelector !== undefined)
        .map((ref) => selection(kindOf(ref), namespace)),
    ],
    holds: spec.deletionPolicy === 'Delete' ? stores : [],
  };
}

const named = ({ secretStoreRefs }: PushSecretSpec): readonly StoreName[] =>
  secretStoreRefs.flatMap(({ name, labelSelector, kind }) =>
    name === undefined || labelSelector !== undefined ? [] : [{ kind: kindOf({ kind }), name }],
  );

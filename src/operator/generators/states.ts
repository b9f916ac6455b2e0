/**
 * What generators left behind, as GeneratorState objects: made before the thing that they take away, owned by whom the
 * values are for. One that is no longer in use gets a deadline, and is cleaned up after it (controllers/generatorstate).
 */

import { randomUUID } from 'node:crypto';
import { failure, isFailure } from '../../base/errors.ts';
import type { Kube, KubeObject, Name } from '../../kube/kube.ts';
import type { Reserved, State } from '../../provider/generator.ts';
import { GENERATOR_STATES, type GeneratorStateSpec, generatorStateSpec } from '../api/generators/kinds.ts';
import { SECRETS } from '../api/resources.ts';
import { rfc3339 } from '../conditions.ts';
import { sha3 } from '../hash.ts';

/** Upstream's names, so that its states are cleaned up here and ours there. */
export const STATE_FINALIZER = 'generatorstate.externalsecrets.io/finalizer';
const OWNER_KEY = 'generators.external-secrets.io/owner-key';
const MANAGER = 'external-secrets-generators';
/** The entry of the Secret that is kept beside a state. */
const KEPT = 'value';

const stateName = (namespace: string, name: string): Name => ({
  resource: GENERATOR_STATES,
  namespace,
  name,
});

export const nameOfState = ({ metadata }: KubeObject): Name =>
  stateName(metadata.namespace ?? '', metadata.name);

/** The spec of a state, or undefined where it is none. */
export function stateSpecOf(object: KubeObject): GeneratorStateSpec | undefined {
  const parsed = generatorStateSpec.safeParse(object['spec']);
  return parsed.success ? parsed.data : undefined;
}

/**
 * Makes a state for the entry `index` of its owner's list.
 * @param generator the manifest that generates
 * @throws Failure kube.*
 */
export async function createState(
  kube: Kube,
  owner: KubeObject,
  index: string,
  generator: KubeObject,
  state: State,
): Promise<KubeObject> {
  const { kind, metadata } = owner;
  const { namespace = '', name, uid = '' } = metadata;
  const stateful = `gen-${kind.toLowerCase()}-${name.slice(0, 200)}-${randomUUID().slice(0, 8)}`;
  return kube.create(
    stateName(namespace, stateful),
    {
      apiVersion: `${GENERATOR_STATES.group}/${GENERATOR_STATES.version}`,
      kind: GENERATOR_STATES.kind,
      metadata: {
        name: stateful,
        namespace,
        labels: { [OWNER_KEY]: sha3(`${kind}-${namespace}-${name}-${index}`) },
        // From the beginning, and not when its controller first sees it: its owner may be deleted before.
        finalizers: [STATE_FINALIZER],
        ownerReferences: [{ apiVersion: owner.apiVersion, kind, name, uid }],
      },
      spec: {
        resource: {
          apiVersion: generator.apiVersion,
          kind: generator.kind,
          metadata: {
            name: generator.metadata.name,
            ...(generator.metadata.namespace === undefined
              ? {}
              : { namespace: generator.metadata.namespace }),
          },
          spec: generator['spec'],
        },
        state,
      },
    },
    { manager: MANAGER },
  );
}

/** The states of an owner that nobody gave up yet, from the server. @throws Failure kube.* */
export async function statesInUse(kube: Kube, owner: KubeObject): Promise<readonly KubeObject[]> {
  const { namespace = '', uid } = owner.metadata;
  const { items } = await kube.list({ resource: GENERATOR_STATES, namespace });
  return items.filter(
    (state) =>
      state.metadata.ownerReferences?.some((reference) => reference.uid === uid) === true &&
      stateSpecOf(state)?.garbageCollectionDeadline === undefined,
  );
}

/** Gives a state up: from `at` on it is cleaned up. One that is gone already is given up. @throws Failure kube.* */
export async function giveUp(kube: Kube, name: Name, at: Date): Promise<void> {
  try {
    await kube.patch(name, { spec: { garbageCollectionDeadline: rfc3339(at) } }, { manager: MANAGER });
  } catch (error) {
    if (!isFailure(error, 'kube.missing')) throw error;
  }
}

/** A state as its generator sees it. */
export function reservedBy(kube: Kube, object: KubeObject): Reserved {
  const name = nameOfState(object);
  const secret: Name = { ...name, resource: SECRETS };
  const { uid = '' } = object.metadata;
  const isMine = ({ metadata }: KubeObject): boolean =>
    metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
  let state = (stateSpecOf(object)?.state ?? {}) as State;
  return {
    get state() {
      return state;
    },
    async update(next) {
      await kube.patch(name, { spec: { state: next } }, { manager: MANAGER });
      state = next;
    },
    async secret() {
      const kept = await kube.get(secret);
      if (kept === undefined || !isMine(kept)) return undefined;
      const text = (kept['data'] as Readonly<Record<string, string>> | undefined)?.[KEPT];
      return text === undefined ? undefined : Buffer.from(text, 'base64');
    },
    async keepSecret(value) {
      const wanted: KubeObject = {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: {
          name: name.name,
          namespace: name.namespace ?? '',
          // Kubernetes collects it with the state.
          ownerReferences: [{ apiVersion: object.apiVersion, kind: object.kind, name: name.name, uid }],
        },
        type: 'Opaque',
        data: { [KEPT]: Buffer.from(value).toString('base64') },
      };
      const there = await kube.get(secret);
      if (there === undefined) await kube.create(secret, wanted, { manager: MANAGER });
      else if (!isMine(there)) throw failure('operator.owned', { name: name.name, owner: 'somebody else' });
      else await kube.update(secret, { ...there, data: wanted['data'] }, { manager: MANAGER });
    },
  };
}

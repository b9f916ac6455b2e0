/**
 * Who pushed something, as stores keep it beside what was pushed. Two halves: the cluster and namespace, which no tenant of
 * another namespace can have, and the PushSecret's name there. Not its UID: a PushSecret that was deleted and applied again
 * goes on with what it pushed.
 */

import { sha256 } from '../../../base/bytes.ts';

/** Set to "true" on a PushSecret: it may take over what it did not push, except from a PushSecret that is there. */
export const ADOPT = 'holdfast.dev/adopt';

const half = (length: number, ...parts: readonly string[]): string =>
  sha256(JSON.stringify(parts)).toString('hex').slice(0, length);

/** @param cluster the UID of the namespace kube-system, by which clusters are told apart */
export const ownerId = (cluster: string, namespace: string, name: string): string =>
  `${half(32, cluster, namespace)}-${half(16, cluster, namespace, name)}`;

/**
 * Whether a push may take over what is there. What a PushSecret of the same namespace left behind, it may always: it was
 * renamed. What another pushed, or nobody, only where its manifest says so; from one that is there, never, because the two
 * would overwrite each other for ever.
 * @param explicit the PushSecret says that it adopts; @param isAlive whether a PushSecret of this cluster has that id
 */
export function mayAdopt(
  owner: string,
  explicit: boolean,
  isAlive: (owner: string) => boolean,
): (found: string | undefined) => boolean {
  const [namespace] = owner.split('-');
  return (found) => {
    if (found === undefined) return explicit;
    if (isAlive(found)) return false;
    return explicit || found.split('-')[0] === namespace;
  };
}

/** What a DatabaseSecret is found under. */

import type { KubeObject } from '../../../kube/kube.ts';

/** The index "backend" of the cache. */
export const backendOf = (object: KubeObject): readonly string[] => {
  const { backend } = (object['spec'] ?? {}) as { readonly backend?: unknown };
  return typeof backend === 'string' ? [backend] : [];
};

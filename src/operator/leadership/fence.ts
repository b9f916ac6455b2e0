/** A Kubernetes API that is written to only while we may: what a replica began before it was cut is not finished after. */

import { failure } from '../../base/errors.ts';
import type { Kube } from '../../kube/kube.ts';

/** @param holds whether this replica may write, at this moment. Writes throw operator.not_held when it may not. */
export function fenced(kube: Kube, holds: () => boolean): Kube {
  const held = (): void => {
    if (!holds()) throw failure('operator.not_held');
  };
  return {
    get: (name, signal) => kube.get(name, signal),
    list: (options, signal) => kube.list(options, signal),
    watch: (options, signal) => kube.watch(options, signal),
    async create(name, object, options) {
      held();
      return kube.create(name, object, options);
    },
    async update(name, object, options) {
      held();
      return kube.update(name, object, options);
    },
    async patch(name, patch, options) {
      held();
      return kube.patch(name, patch, options);
    },
    async apply(name, object, options) {
      held();
      return kube.apply(name, object, options);
    },
    async delete(name, preconditions) {
      held();
      return kube.delete(name, preconditions);
    },
  };
}

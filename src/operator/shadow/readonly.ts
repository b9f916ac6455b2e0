/** A Kubernetes API of which nothing is changed, whoever asks. */

import { failure } from '../../base/errors.ts';
import type { Kube } from '../../kube/kube.ts';

/** A login's token is asked for by a request that creates nothing; all else that writes throws operator.shadow. */
export function readOnly(kube: Kube): Kube {
  const refuse = async (): Promise<never> => {
    throw failure('operator.shadow');
  };
  return {
    get: (name, signal) => kube.get(name, signal),
    list: (options, signal) => kube.list(options, signal),
    watch: (options, signal) => kube.watch(options, signal),
    create: (name, object, options) =>
      options?.subresource === 'token' ? kube.create(name, object, options) : refuse(),
    update: refuse,
    patch: refuse,
    apply: refuse,
    delete: refuse,
  };
}

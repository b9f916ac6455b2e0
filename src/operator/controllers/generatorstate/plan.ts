/** What to do about one GeneratorState: keep what is in use alive, and take away what nobody uses any more. Pure. */

import type { KubeObject } from '../../../kube/kube.ts';
import type { GeneratorStateSpec } from '../../api/generators/kinds.ts';
import { STATE_FINALIZER } from '../../generators/states.ts';

export type StatePlan =
  /** Its generator takes away what it left, and then its finalizer may go. */
  | { readonly do: 'clean' }
  | { readonly do: 'delete' }
  /** The finalizer stands before anything else: without it a deletion would leave what was made. */
  | { readonly do: 'hold' }
  /** In use. */
  | { readonly do: 'keep' }
  | { readonly do: 'wait'; readonly until: Date }
  | { readonly do: 'nothing' };

export function planState(object: KubeObject, spec: GeneratorStateSpec | undefined, now: Date): StatePlan {
  const held = (object.metadata.finalizers ?? []).includes(STATE_FINALIZER);
  if (object.metadata.deletionTimestamp !== undefined) return { do: held ? 'clean' : 'nothing' };
  if (!held) return { do: 'hold' };
  const deadline = Date.parse(spec?.garbageCollectionDeadline ?? '');
  if (Number.isNaN(deadline)) return { do: 'keep' };
  return deadline <= now.getTime() ? { do: 'delete' } : { do: 'wait', until: new Date(deadline) };
}

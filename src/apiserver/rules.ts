/**
 * What the API itself does with an object of a kind on its way in, beyond storing it: defaults it sets, and what it refuses.
 * Each rule is one sentence of Kubernetes' behaviour, as a function over the object alone.
 */

import type { Obj } from './objects.ts';
import type { Cause } from './status.ts';

export interface Rule {
  /** Changes a clone of the object in place. */
  readonly set?: (object: Obj, old: Obj | undefined) => void;
  readonly check?: (object: Obj, old: Obj | undefined) => readonly Cause[];
}

/** Reconciles SecretStores and ClusterSecretStores: connect, ask whether they let us in, tell the condition. */

import type { Clock } from '../../../base/clock.ts';
import { parseDuration } from '../../../base/duration.ts';
import { asFailure } from '../../../base/errors.ts';
import type { Kube, KubeObject, Resource } from '../../../kube/kube.ts';
import { type Connections, storeKey } from '../../connections.ts';
import type { EventRecorder } from '../../events.ts';
import { apply, type Outcome } from '../../executor.ts';
import { isRefusal } from '../../schedule/refusals.ts';
import { type Checked, plan } from './plan.ts';
import { isOurs } from './sight.ts';

export interface StoreControllerOptions {
  readonly kube: Kube;
  readonly clock: Clock;
  readonly connections: Connections;
  readonly events: EventRecorder;
  readonly controllerClass: string;
  /** Whether a PushSecret has to take away what it pushed to the store of that place before the store may go. */
  isHeld(place: string): boolean;
  /** The store of that place does not let us in; it was asked at `since`, monotonic, or later. */
  refused(place: string, since: number): void;
  /** For stores that name no `refreshInterval`, in milliseconds. Absent: five minutes, as upstream has it. */
  readonly interval?: number;
}

/** `--store-requeue-interval` of external-secrets. */
const RECHECK_MS = 5 * 60_000;

export class StoreController {
  readonly #options: StoreControllerOptions;

  constructor(options: StoreControllerOptions) {
    this.#options = options;
  }

  /** @throws Failure where the cluster does not answer */
  async reconcile(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { kube, clock, events, controllerClass, refused } = this.#options;
    const since = clock.monotonic();
    const at = { resource, name, ...(namespace === undefined ? {} : { namespace }) };
    const now = new Date(clock.now());
    const object = await kube.get(at, signal);
    if (object === undefined) return { end: 'done' };
    const spec = (object['spec'] ?? {}) as { controller?: unknown; refreshInterval?: unknown };
    const ours = isOurs(spec.controller, controllerClass);
    const checked = ours ? await this.#check(object, signal) : undefined;
    const place = storeKey(resource.kind, namespace, name);
    if (checked !== undefined && 'failed' in checked && isRefusal(checked.failed)) refused(place, since);
    const interval = intervalOf(spec.refreshInterval, this.#options.interval ?? RECHECK_MS);
    const held = this.#options.isHeld(place);
    const steps = plan({ object, name: at, checked, interval, held }, now);
    return apply(kube, events, steps, () => ({ actions: [] }));
  }

  async #check(object: KubeObject, signal: AbortSignal): Promise<Checked> {
    const { connections } = this.#options;
    let writes = false;
    try {
      writes = (await connections.connect(object)).put !== undefined;
    } catch (error) {
      const failed = asFailure(error);
      return failed.code === 'operator.ref_referent'
        ? { result: 'unknown', writes }
        : { failed, at: 'connect' };
    }
    try {
      return { result: await connections.validate(object, signal), writes };
    } catch (error) {
      return { failed: asFailure(error), at: 'validate' };
    }
  }
}

/** Seconds or a Go duration; nothing, nonsense and 0 mean the usual. */
function intervalOf(given: unknown, usual: number): number {
  if (typeof given !== 'string' && typeof given !== 'number') return usual;
  try {
    return parseDuration(given) || usual;
  } catch {
    return usual;
  }
}

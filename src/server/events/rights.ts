/**
 * Tells subscribers that what somebody may do has changed, and nothing of whose rights or which: a policy, a role or another
 * record of an auth method, an entity or a group. Whoever was refused may then ask again. What changes within a moment is
 * told once, so that a change of thousands is no storm of words.
 */

import type { Clock } from '../../base/clock.ts';
import { asFailure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { EventBus } from './events.ts';

export const RIGHTS_CHANGED = 'system/rights-changed';
/** What a subscriber must be allowed to `subscribe` to: the list of the policies, which it need not be allowed to read. */
const PATH = 'sys/policies/acl';
/** From the first change to its event, in milliseconds. */
const COLLECT_MS = 200;

export interface RightsOptions {
  readonly clock: Pick<Clock, 'after' | 'now'>;
  readonly log: Pick<Log, 'debug'>;
  readonly events: Pick<EventBus, 'publish'>;
  /** The revision that the store has reached. */
  head(): Promise<number>;
  /** The accessor of the mount of `sys/`. */
  accessor(): string;
}

export class Rights {
  readonly #options: RightsOptions;
  #pending: (() => void) | undefined;
  #closed = false;

  constructor(options: RightsOptions) {
    this.#options = options;
  }

  /** To be called once the change is durable. */
  changed(): void {
    if (this.#closed) return;
    this.#pending ??= this.#options.clock.after(COLLECT_MS, () => {
      this.#pending = undefined;
      void this.#tell();
    });
  }

  /** Tells nothing any more: the barrier closes, and all who listen are sent away. */
  close(): void {
    this.#closed = true;
    this.#pending?.();
  }

  async #tell(): Promise<void> {
    const { clock, log, events, head, accessor } = this.#options;
    try {
      const revision = await head();
      if (this.#closed) return;
      events.publish({
        revision,
        type: RIGHTS_CHANGED,
        path: PATH,
        dataPath: PATH,
        operation: 'rights-changed',
        modified: true,
        plugin: { mountPath: 'sys/', mountAccessor: accessor(), plugin: 'system' },
        metadata: {},
        at: clock.now(),
      });
    } catch (error) {
      // Sealed, or another leads: who listened here begins anew, and tries all that failed.
      log.debug('a change of rights was not told', { reason: asFailure(error).code });
    }
  }
}

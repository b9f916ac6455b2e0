/** Which engine a path lies under, as the server says it to whoever may use it; asked once a minute for each mount. */

import { isFailure } from '../../base/errors.ts';
import type { VaultClient } from '../../client/client.ts';
import { mountOf } from '../../client/kv.ts';
import type { Session } from './session.ts';

interface Known {
  readonly path: string;
  /** Undefined: the server does not say. */
  readonly type: string | undefined;
  readonly until: number;
}

const KNOWN_MS = 60_000;
const UNKNOWN_MS = 5000;
/** What is read there was put there, or is the server's own affair: nothing is issued. */
const NOT_ISSUING = ['kv', 'generic', 'cubbyhole', 'system', 'identity', 'token', 'plugin'];

export class Mounts {
  readonly #session: Pick<Session, 'use'>;
  readonly #monotonic: () => number;
  #known: Known[] = [];

  constructor(session: Pick<Session, 'use'>, monotonic: () => number) {
    this.#session = session;
    this.#monotonic = monotonic;
  }

  /**
   * Whether a path lies under an engine that issues. A server that does not say which mount it is counts as one that has
   * none there.
   * @throws Failure api.* where the server does not answer
   */
  async issues(path: string, signal?: AbortSignal): Promise<boolean> {
    const type = await this.#typeAt(path, signal);
    return type !== undefined && !NOT_ISSUING.includes(type) && !type.startsWith('ns_');
  }

  async #typeAt(path: string, signal: AbortSignal | undefined): Promise<string | undefined> {
    const now = this.#monotonic();
    this.#known = this.#known.filter(({ until }) => until > now);
    const known = this.#known.find((mount) => path === mount.path || path.startsWith(`${mount.path}/`));
    if (known !== undefined) return known.type;
    const found = await this.#session.use((as) => asked(as, path, signal));
    // What is unknown is unknown for this path alone, and not for long: somebody is about to enable an engine there.
    const until = now + (found === undefined ? UNKNOWN_MS : KNOWN_MS);
    this.#known.push({ path: found?.path ?? path, type: found?.type, until });
    return found?.type;
  }
}

async function asked(client: VaultClient, path: string, signal: AbortSignal | undefined) {
  try {
    return await mountOf(client, path, { signal });
  } catch (error) {
    // One answer for "there is none" and "it is not for you".
    if (isFailure(error, 'api.denied') || isFailure(error, 'api.invalid')) return undefined;
    throw error;
  }
}

/** `config/lease`: how long IAM users live, and how long they can be renewed. */

import { textOf, utf8 } from '../../base/bytes.ts';
import { stringify } from '../../base/json.ts';
import type { Mount } from '../../plugin/plugin.ts';

/** Milliseconds. */
export interface LeaseConfig {
  readonly leaseMs: number;
  readonly maxMs: number;
}

const KEY = 'config/lease';

export class Span {
  readonly #mount: Mount;

  constructor(mount: Mount) {
    this.#mount = mount;
  }

  async stored(): Promise<LeaseConfig | undefined> {
    const entry = await this.#mount.storage.get(KEY);
    const text = entry && textOf(entry.value);
    return text === undefined ? undefined : (JSON.parse(text) as LeaseConfig);
  }

  async put(config: LeaseConfig): Promise<void> {
    await this.#mount.storage.commit([{ key: KEY, value: utf8(stringify(config)) }]);
  }

  /** What holds: the mount's, where nothing else is said, and never longer than the mount lets it be. Milliseconds. */
  async times(): Promise<{ readonly ttlMs: number; readonly maxTtlMs: number }> {
    const { defaultMs, maxMs } = this.#mount.ttl();
    const stored = await this.stored();
    const maxTtlMs = Math.min(stored?.maxMs || maxMs, maxMs);
    return { ttlMs: Math.min(stored?.leaseMs || defaultMs, maxTtlMs), maxTtlMs };
  }
}

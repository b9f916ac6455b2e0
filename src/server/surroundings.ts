/** What the parts of a server share while it opens and closes. */

import type { PluginType } from '../plugin/plugin.ts';
import type { Backups } from './backup/backups.ts';
import type { Barrier } from './barrier/barrier.ts';
import type { Core } from './core/core.ts';
import type { LiveMount } from './core/mounts.ts';
import type { RingBus } from './events/bus.ts';
import type { ServerOptions } from './options.ts';
import type { Ceremonies } from './seal/ceremonies.ts';
import type { SealKeeper } from './seal/keeper.ts';

/** What is about the store, and stands whether it is open or not. */
export interface Surroundings {
  readonly options: ServerOptions;
  readonly barrier: Barrier;
  readonly keeper: SealKeeper;
  readonly ceremonies: Ceremonies;
  readonly events: RingBus;
  readonly core: Core;
  readonly version: string;
  /** Aborted when the server goes. */
  readonly leaving: AbortSignal;
  /** All that can be mounted, the server's own among it. It is made of this, and so asked for only later. */
  types(): readonly PluginType[];
  backups(): Backups;
  /** `sys/` as it answers while there is no mount table. */
  sealedSystem(): LiveMount;
}

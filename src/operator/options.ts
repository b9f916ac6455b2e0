/** What an operator is told when it is made, and what it can be asked. */

import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Tracer } from '../base/trace/tracer.ts';
import type { Kube, KubeObject } from '../kube/kube.ts';
import type { WayOut } from '../provider/egress.ts';
import type { GeneratorType } from '../provider/generator.ts';
import type { ProviderEnv, ProviderType } from '../provider/provider.ts';
import type { Env } from './controllers/externalsecret/observed.ts';
import type { OperatorMetrics } from './observe/metrics.ts';
import type { Subscribe } from './push.ts';
import type { Rate } from './schedule/bucket.ts';
import type { Share } from './schedule/share.ts';
import type { Difference } from './shadow/difference.ts';

export interface OperatorOptions {
  readonly kube: Kube;
  readonly providers: readonly ProviderType[];
  /** Absent: none. */
  readonly generators?: readonly GeneratorType[];
  /** How long what a generator made stays after it was replaced. Absent: 2 minutes. */
  readonly generatorGraceMs?: number;
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1), for spreading. */
  readonly random: () => number;
  resolve(host: string, port: number): ReturnType<ProviderEnv['resolve']>;
  /** Where stores may have us connect to, beside servers of Vault. Absent: nowhere. */
  readonly wayOut?: WayOut;
  /** Opens the stream of changes of a server under the operator's own identity. Absent: intervals alone. */
  readonly subscribe?: Subscribe;
  /** Renders templates; `src/operator/rendering.ts` has the usual one. */
  envOf(object: KubeObject, now: Date): Env;
  readonly controllerClass?: string;
  /** Absent: all namespaces. */
  readonly namespace?: string;
  /** The operator's own, where it keeps what is nobody else's to read. Absent: "holdfast-system". */
  readonly ownNamespace?: string;
  readonly concurrency?: number;
  /** How fast each store is asked at most. Absent: `schedule/traffic.ts` has the usual. */
  readonly storeRate?: Rate;
  /** How often a store is checked that is well and says nothing else, in milliseconds. Absent: five minutes. */
  readonly storeInterval?: number;
  /** What is counted while it works. */
  readonly metrics?: OperatorMetrics;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
  /** What of the work is this replica's. Absent: all. */
  readonly share?: Share;
  /** Compares what it would write with what is there, and writes nothing. */
  readonly shadow?: boolean;
}

/** How one ExternalSecret or store stands, as `kubectl get` would print it. */
export interface Standing {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly ready: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

export interface Operator {
  /** Works until the signal is aborted; resolves when what was begun has ended. */
  start(signal: AbortSignal): Promise<void>;
  /** Resolves when nothing is being worked on that is not owned by this measure. */
  drained(owns: (key: string) => boolean): Promise<void>;
  /** Resolves when everything that is watched was listed once. */
  ready(signal?: AbortSignal): Promise<void>;
  externalSecrets(): readonly Standing[];
  stores(): readonly Standing[];
  /** In shadow: what of each ExternalSecret would be otherwise; else empty. */
  differences(): readonly Difference[];
  /** Resolves when all that was recorded is written. */
  eventsWritten(): Promise<void>;
}

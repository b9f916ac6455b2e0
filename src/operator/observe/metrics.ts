/**
 * What Prometheus reads of the operator: the names of external-secrets and of controller-runtime, which dashboards and alerts
 * know, and ours. Counted while it works; what can be read off the caches is gathered when somebody asks. No series carries a
 * value, a key or a path of a secret, and the number of series is bounded.
 */

import type { Clock } from '../../base/clock.ts';
import { type Gauge, gaugeText, Histogram, type Sample } from '../../base/exposition.ts';
import type { KubeObject } from '../../kube/kube.ts';
import type { Queue } from '../../kube/queue.ts';
import { externalSecretSpec } from '../api/externalsecret.ts';
import type { Caches } from '../caches.ts';
import { allOf, findStore } from '../caches.ts';
import { storesOf } from '../controllers/externalsecret/observed.ts';
import { Counter } from './counters.ts';
import type { Expiring } from './expiring.ts';
import { leaseGauge } from './leases.ts';
import { CONTROLLERS, type ObjectOptions, objectGauges, subsystemOf, type Tally } from './objects.ts';
import { Reviews } from './reviews.ts';
import { Rotations } from './rotations.ts';

export interface World {
  readonly caches: Caches;
  readonly queue: Pick<Queue, 'depth'>;
  /** How many objects are worked on at once, of whatever kind. */
  readonly workers: number;
  /** What the operator is logged in with, as far as it ends. */
  expiring(): readonly Expiring[];
}

const RESULTS = ['success', 'requeue_after', 'requeue', 'error'] as const;

/** How a reconcile ended, in the words of controller-runtime. */
export type Result = (typeof RESULTS)[number];

export interface MetricsOptions extends Partial<ObjectOptions> {
  readonly clock: Clock;
}

const MOST_OBJECTS = 10_000;

export class OperatorMetrics {
  readonly #options: ObjectOptions;
  readonly #clock: Clock;
  readonly #tallies = new Map<string, Tally>();
  readonly #rotations: Rotations;
  readonly reviews: Reviews;
  readonly #running = new Map<string, { readonly kind: string; readonly since: number }>();
  #world: World | undefined;

  readonly #calls = new Counter(
    'externalsecret_provider_api_calls_count',
    'Requests to stores, by provider, call and how they ended.',
    ['provider', 'call', 'status'],
  );
  readonly #answers = new Histogram(
    'holdfast_provider_api_call_duration_seconds',
    'How long requests to stores took, by provider and call.',
    ['provider', 'call'],
  );
  readonly #requests = new Counter(
    'rest_client_requests_total',
    'Requests to the Kubernetes API, by status, verb and host.',
    ['code', 'method', 'host'],
  );
  readonly #results = new Counter(
    'controller_runtime_reconcile_total',
    'Reconciles by controller and how they ended.',
    ['controller', 'result'],
  );
  readonly #errors = new Counter(
    'controller_runtime_reconcile_errors_total',
    'Reconciles that failed, by controller.',
    ['controller'],
  );
  readonly #adds = new Counter('workqueue_adds_total', 'What was put into the queue.', ['name']);
  readonly #retries = new Counter('workqueue_retries_total', 'What was put into the queue after a failure.', [
    'name',
  ]);
  readonly #time = new Histogram(
    'controller_runtime_reconcile_time_seconds',
    'How long reconciles took, by controller.',
    ['controller'],
  );
  readonly #waited = new Histogram(
    'workqueue_queue_duration_seconds',
    'How long what was due waited before it was begun.',
    ['name'],
  );
  readonly #worked = new Histogram(
    'workqueue_work_duration_seconds',
    'How long work on what was taken from the queue took.',
    ['name'],
  );
  readonly #sync = new Histogram(
    'externalsecret_reconcile_duration_seconds',
    'How long reconciles of ExternalSecrets took.',
    [],
  );
  readonly #delay = new Histogram(
    'holdfast_rotation_delay_seconds',
    'From the word of a store that a value changed to the Secret that holds it.',
    [],
  );

  constructor({ clock, most = MOST_OBJECTS, extended = false }: MetricsOptions) {
    this.#clock = clock;
    this.#options = { most, extended };
    this.#rotations = new Rotations(() => clock.now());
    this.reviews = new Reviews(clock);
  }

  /** From here on there is something to tell of. */
  watch(world: World): void {
    this.#world = world;
    // Dashboards divide failures by all: a series that comes with the first failure would show nothing until then.
    for (const controller of CONTROLLERS) {
      for (const result of RESULTS) this.#results.add([controller, result], 0);
      this.#errors.add([controller], 0);
    }
    world.caches.secrets.onChange((change) => this.#rotations.heard(change));
    for (const cache of allOf(world.caches)) {
      const { kind } = cache.resource;
      if (subsystemOf(kind) === undefined) continue;
      cache.onChange(({ old, new: now }) => {
        if (now === undefined && old !== undefined) this.#tallies.delete(tallyKey(kind, old));
      });
    }
  }

  added(key: string): void {
    this.#adds.add([nameOf(key)]);
  }

  retried(key: string): void {
    this.#retries.add([nameOf(key)]);
  }

  /** Work on a key begins. @param waitedMs how long it was due */
  began(key: string, waitedMs: number): void {
    this.#waited.observe([nameOf(key)], waitedMs / 1000);
    this.#running.set(key, { kind: nameOf(key), since: this.#clock.monotonic() });
  }

  /** Work on a key has ended. */
  ended(key: string, result: Result): void {
    const began = this.#running.get(key);
    this.#running.delete(key);
    if (began === undefined) return;
    const milliseconds = this.#clock.monotonic() - began.since;
    const { kind: controller } = began;
    this.#time.observe([controller], milliseconds / 1000);
    this.#worked.observe([controller], milliseconds / 1000);
    this.#results.add([controller, result]);
    if (result === 'error') this.#errors.add([controller]);
    if (controller === 'externalsecret') this.#sync.observe([], milliseconds / 1000);
    const tally = this.#tallies.get(key) ?? { calls: 0, errors: 0, milliseconds };
    tally.calls++;
    if (result === 'error') tally.errors++;
    tally.milliseconds = milliseconds;
    this.#tallies.set(key, tally);
  }

  /** A request to a store ended. */
  readonly called = (provider: string, call: string, ok: boolean, ms: number): void => {
    this.#calls.add([provider, call, ok ? 'success' : 'error']);
    this.#answers.observe([provider, call], ms / 1000);
  };

  /** A request to the Kubernetes API ended. @param code "200"; "<error>" where no answer came */
  readonly asked = (method: string, host: string, code: string): void =>
    this.#requests.add([code, method, host]);

  /** A Secret holds what a store told of so many milliseconds ago. */
  rotated(delayMs: number): void {
    this.#delay.observe([], delayMs / 1000);
  }

  /** All of it, in the text exposition format of Prometheus. */
  text(): string {
    const gauges = [
      ...this.#objectGauges(),
      ...this.#queueGauges(),
      ...this.#expiryGauges(),
      ...[this.#calls, this.#requests, this.#results, this.#errors, this.#adds, this.#retries].map(
        (counter) => counter.gauge(),
      ),
      ...this.reviews.gauges(),
    ];
    const histograms = [
      ...[this.#time, this.#sync, this.#waited, this.#worked, this.#delay, this.#answers],
      ...this.reviews.histograms(),
    ];
    return [...gauges.map(gaugeText), ...histograms.map((histogram) => histogram.text())].join('');
  }

  #objectGauges(): readonly Gauge[] {
    const world = this.#world;
    if (world === undefined) return [];
    let left = 0;
    const gauges = allOf(world.caches).flatMap((cache) => {
      const { kind } = cache.resource;
      if (subsystemOf(kind) !== undefined) left += Math.max(0, cache.size - this.#options.most);
      return objectGauges(
        kind,
        cache.each(),
        (object) => this.#tallies.get(tallyKey(kind, object)),
        this.#options,
      );
    });
    return [
      ...gauges,
      ...this.#rotations.gauges(
        (namespace, name) => providerOf(world.caches, namespace, name),
        this.#options.most,
      ),
      leaseGauge(world.caches.syncReports.list(), this.#options.most),
      {
        name: 'holdfast_metrics_objects_left_out',
        help: 'Objects that have no series of their own, because there are more than the limit.',
        samples: [{ value: left }],
      },
    ];
  }

  #queueGauges(): readonly Gauge[] {
    const world = this.#world;
    if (world === undefined) return [];
    const { running: _, ...waiting } = world.queue.depth();
    const kinds = [...this.#running.values()].map(({ kind }) => kind);
    const controllers = [...new Set([...CONTROLLERS, ...kinds])];
    const now = this.#clock.monotonic();
    const ages = [...this.#running.values()].map(({ since }) => (now - since) / 1000);
    const labels = { name: 'operator' };
    return [
      {
        name: 'workqueue_depth',
        help: 'What is due and waits, by class.',
        samples: Object.entries(waiting).map(([priority, value]) => ({
          labels: { ...labels, priority },
          value,
        })),
      },
      {
        name: 'controller_runtime_active_workers',
        help: 'Reconciles that run, by controller.',
        samples: controllers.map((controller) => ({
          labels: { controller },
          value: kinds.filter((kind) => kind === controller).length,
        })),
      },
      {
        name: 'controller_runtime_max_concurrent_reconciles',
        help: 'How many reconciles run at once: all controllers share them.',
        samples: controllers.map((controller) => ({ labels: { controller }, value: world.workers })),
      },
      {
        name: 'workqueue_unfinished_work_seconds',
        help: 'For how long the reconciles that run have been running, all together.',
        samples: [{ labels, value: ages.reduce((sum, age) => sum + age, 0) }],
      },
      {
        name: 'workqueue_longest_running_processor_seconds',
        help: 'For how long the oldest reconcile has been running.',
        samples: [{ labels, value: Math.max(0, ...ages) }],
      },
    ];
  }

  #expiryGauges(): readonly Gauge[] {
    const tokens = this.#world?.expiring() ?? [];
    const samples: Sample[] = tokens
      .slice(0, this.#options.most)
      .map(({ store, endsAt }) => ({ labels: { store }, value: Math.round(endsAt / 1000) }));
    return [
      {
        name: 'holdfast_store_token_expiration_time_seconds',
        help: 'When what a store is logged in with ends, in seconds since 1970. It is renewed long before.',
        samples,
      },
    ];
  }
}

/** The key of the queue for an object, under which it was counted. */
const tallyKey = (kind: string, { metadata }: KubeObject): string =>
  `${kind}/${metadata.namespace ?? ''}/${metadata.name}`;

/** "externalsecret", of "ExternalSecret/team/app". */
const nameOf = (key: string): string => key.slice(0, key.indexOf('/')).toLowerCase();

/** The property under `spec.provider` of the store that fills a Secret; "unknown" where there is none to be seen. */
function providerOf(caches: Caches, namespace: string, name: string): string {
  const [owner] = caches.externalSecrets.byIndex('target', `${namespace}/${name}`);
  const spec = externalSecretSpec.safeParse(owner?.['spec']);
  const [store] = spec.success ? storesOf(spec.data) : [];
  if (owner === undefined || store === undefined) return 'unknown';
  const found = findStore(caches, store, namespace);
  const { provider = {} } = (found?.['spec'] ?? {}) as { provider?: object };
  return Object.keys(provider)[0] ?? 'unknown';
}

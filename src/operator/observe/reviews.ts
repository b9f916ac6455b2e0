/** What the API server asks of the webhook, counted in the names of controller-runtime. */

import type { Clock } from '../../base/clock.ts';
import { type Gauge, Histogram } from '../../base/exposition.ts';
import { Counter } from './counters.ts';

/** What a rate is reckoned of has to be there before it first rises. */
const FROM_THE_BEGINNING = ['200', '500'];

export class Reviews {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #asked = new Counter(
    'controller_runtime_webhook_requests_total',
    'Requests to the webhook, by path and status.',
    ['webhook', 'code'],
  );
  readonly #took = new Histogram(
    'controller_runtime_webhook_latency_seconds',
    'How long the webhook took to answer, by path.',
    ['webhook'],
  );
  readonly #running = new Map<string, number>();

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** From here on it is asked. @param paths where: "/validate-external-secrets-io-v1-externalsecret" */
  offered(paths: readonly string[]): void {
    for (const path of paths) {
      this.#running.set(path, 0);
      for (const code of FROM_THE_BEGINNING) this.#asked.add([path, code], 0);
    }
  }

  /** A request begins at one of these paths. @returns to be told of its end, with the status if an answer was sent */
  readonly began = (path: string): ((status: number | undefined) => void) => {
    const since = this.#clock.monotonic();
    this.#running.set(path, (this.#running.get(path) ?? 0) + 1);
    return (status) => {
      this.#running.set(path, (this.#running.get(path) ?? 1) - 1);
      if (status === undefined) return;
      this.#asked.add([path, String(status)]);
      this.#took.observe([path], (this.#clock.monotonic() - since) / 1000);
    };
  };

  /** Nothing where there is no webhook. */
  gauges(): readonly Gauge[] {
    if (this.#running.size === 0) return [];
    return [
      this.#asked.gauge(),
      {
        name: 'controller_runtime_webhook_requests_in_flight',
        help: 'Requests that the webhook is answering, by path.',
        samples: [...this.#running].map(([webhook, value]) => ({ labels: { webhook }, value })),
      },
    ];
  }

  histograms(): readonly Histogram[] {
    return this.#running.size === 0 ? [] : [this.#took];
  }
}

/** What is counted while the server runs; what can be read off the store is gathered when it is asked for. */

import { Histogram } from '../../base/exposition.ts';

export interface Metrics {
  readonly requests: Histogram;
}

export const createMetrics = (): Metrics => ({
  requests: new Histogram(
    'vault_core_handle_request_seconds',
    'Time from a request to its answer, by operation, mount and outcome.',
    ['operation', 'mount_point', 'outcome'],
  ),
});

/** The queue, with what goes into it counted. */

import type { Queue } from '../../kube/queue.ts';
import type { OperatorMetrics } from './metrics.ts';

export function countedQueue(queue: Queue, metrics: OperatorMetrics | undefined): Queue {
  if (metrics === undefined) return queue;
  return {
    ...queue,
    add(key, ...how) {
      metrics.added(key);
      queue.add(key, ...how);
    },
    retry(key, leastMs) {
      metrics.added(key);
      metrics.retried(key);
      return queue.retry(key, leastMs);
    },
  };
}

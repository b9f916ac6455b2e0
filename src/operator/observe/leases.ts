/** When what was issued for ExternalSecrets ends, for alerts. Read off their SyncReports; never a path or an id of a lease. */

import type { Gauge } from '../../base/exposition.ts';
import type { KubeObject } from '../../kube/kube.ts';

/** @param reports SyncReports as they are watched; @param most series, at most */
export function leaseGauge(reports: readonly KubeObject[], most: number): Gauge {
  const samples = reports.flatMap(({ metadata: { name, namespace = '' }, status }) => {
    const { expireTime = '' } = (status ?? {}) as { expireTime?: string };
    const at = Date.parse(expireTime);
    return Number.isNaN(at) ? [] : [{ labels: { name, namespace }, value: Math.round(at / 1000) }];
  });
  return {
    name: 'holdfast_lease_expiration_time_seconds',
    help: 'When the first of the credentials that were issued for an ExternalSecret ends, in seconds since 1970.',
    samples: samples.slice(0, most),
  };
}

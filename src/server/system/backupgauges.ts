/** Numbers about backups: under the names of upstream's automated snapshots where it has one, and under ours. */

import type { Gauge, Sample } from '../../base/exposition.ts';
import type { Backups, TargetState } from '../backup/backups.ts';

/**
 * None while the schedules do not run: a standby knows nothing of backups, and must not raise an alarm.
 * @param now milliseconds since the epoch
 */
export function backupGauges({ running, states }: Backups, now: number): Gauge[] {
  if (!running || states.length === 0) return [];
  const per = (
    name: string,
    help: string,
    value: (state: TargetState) => number,
    label = 'target',
  ): Gauge => ({
    name,
    help,
    samples: states.map((state): Sample => ({ labels: { [label]: state.target.name }, value: value(state) })),
  });
  const counter = (gauge: Gauge): Gauge => ({ ...gauge, kind: 'counter' });
  return [
    per(
      'holdfast_backup_last_verified_age_seconds',
      'Age of the newest backup that was verified; without any, the time since 1970.',
      ({ verifiedAt = 0 }) => Math.max(0, now - verifiedAt) / 1000,
    ),
    per(
      'vault_autosnapshots_last_success_time',
      'When the newest backup that was verified was made, in seconds since the epoch.',
      ({ verifiedAt = 0 }) => Math.floor(verifiedAt / 1000),
      'snapshot_config_name',
    ),
    counter(
      per('holdfast_backups_made_total', 'Backups that were made and verified.', ({ totals }) => totals.made),
    ),
    counter(
      per(
        'holdfast_backup_failures_total',
        'Backups that failed, or did not hold.',
        ({ totals }) => totals.failed,
      ),
    ),
    counter(
      per(
        'vault_autosnapshots_save_errors',
        'Backups that failed, or did not hold.',
        ({ totals }) => totals.failed,
        'snapshot_config_name',
      ),
    ),
    per(
      'holdfast_backup_store_behind',
      'Whether the store is older than its newest backup: restored, or rolled back.',
      ({ behind }) => (behind ? 1 : 0),
    ),
  ];
}

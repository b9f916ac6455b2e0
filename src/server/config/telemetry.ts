/**
 * `telemetry`: how numbers are told. Here they are gathered when sys/metrics is asked for, so that what says how they are kept or
 * named changes nothing; where they would have been sent to is told, because somebody waits for them there.
 */

import type { Stanza } from './stanza.ts';

/** Changes nothing that a reader of sys/metrics would miss. */
const PASSED = [
  'usage_gauge_period',
  'maximum_gauge_cardinality',
  'disable_hostname',
  'enable_hostname_label',
  'lease_metrics_epsilon',
  'num_lease_metrics_buckets',
  'add_lease_metrics_namespace_labels',
  'add_mount_point_rollback_metrics',
  'filter_default',
  'prefix_filter',
  'prometheus_retention_time',
];
const SENT = [
  'statsite_address',
  'statsd_address',
  'dogstatsd_addr',
  'dogstatsd_tags',
  'circonus_api_token',
  'circonus_api_app',
  'circonus_api_url',
  'circonus_submission_interval',
  'circonus_submission_url',
  'circonus_check_id',
  'circonus_check_force_metric_activation',
  'circonus_check_instance_id',
  'circonus_check_search_tag',
  'circonus_check_display_name',
  'circonus_check_tags',
  'circonus_broker_id',
  'circonus_broker_select_tag',
  'stackdriver_project_id',
  'stackdriver_location',
  'stackdriver_namespace',
  'stackdriver_debug_logs',
];

/** Checks the stanza, and says what of it is not done. @throws Failure config.invalid */
export function readTelemetry(top: Stanza, notes: string[]): void {
  const stanza = top.block('telemetry', [...PASSED, 'metrics_prefix', ...SENT]);
  stanza?.duration('prometheus_retention_time');
  stanza?.truth('disable_hostname');
  const prefix = stanza?.text('metrics_prefix') || 'vault';
  if (prefix !== 'vault')
    notes.push('metrics_prefix is not used: the names of sys/metrics begin with "vault".');
  const sent = SENT.find((key) => stanza?.has(key));
  if (sent !== undefined)
    notes.push(`${sent} is not used: numbers are not sent anywhere, Prometheus reads them from sys/metrics.`);
}

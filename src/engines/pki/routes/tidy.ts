/** `tidy`, `tidy-cancel`, `tidy-status` and `config/auto-tidy`. */

import { z } from 'zod';
import { goDuration, seconds } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { duration, flag, integer } from '../../../base/schema.ts';
import { type Mount, operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import { nothing } from '../asking.ts';
import { iso } from '../issuing.ts';
import type { PkiStore } from '../store.ts';
import { checkedTidy, type Tidier, type TidyStatus } from '../tidying.ts';
import { type AutoTidy, isAnything, TIDY_DEFAULTS, TIDY_TARGETS, type TidyOptions } from '../tidyoptions.ts';

const fields = {
  tidy_cert_store: flag().optional(),
  tidy_revoked_certs: flag().optional(),
  /** The older name of tidy_revoked_certs. */
  tidy_revocation_list: flag().optional(),
  tidy_invalid_certs: flag().optional(),
  tidy_revoked_cert_issuer_associations: flag().optional(),
  tidy_expired_issuers: flag().optional(),
  tidy_move_legacy_ca_bundle: flag().optional(),
  tidy_acme: flag().optional(),
  safety_buffer: duration().optional(),
  revoked_safety_buffer: duration().optional(),
  issuer_safety_buffer: duration().optional(),
  acme_account_safety_buffer: duration().optional(),
  pause_duration: duration().optional(),
  page_size: integer().optional(),
};
type Fields = z.output<z.ZodObject<typeof fields>>;

const bool = z.boolean();
const told = {
  tidy_cert_store: bool,
  tidy_revoked_certs: bool,
  tidy_invalid_certs: bool,
  tidy_revoked_cert_issuer_associations: bool,
  tidy_expired_issuers: bool,
  tidy_move_legacy_ca_bundle: bool,
  tidy_acme: bool,
  safety_buffer: z.number(),
  revoked_safety_buffer: z.number(),
  issuer_safety_buffer: z.number(),
  acme_account_safety_buffer: z.number(),
  pause_duration: z.string(),
  page_size: z.number(),
};
const toldAnswer = z.object(told);
const autoAnswer = toldAnswer.extend({
  enabled: bool,
  interval_duration: z.number(),
  maintain_stored_certificate_counts: bool,
  publish_stored_certificate_count_metrics: bool,
});
const count = z.number().nullable();
const moment = z.string().nullable();
const statusAnswer = z.object({
  ...(Object.fromEntries(Object.entries(told).map(([name, type]) => [name, type.nullable()])) as {
    [K in keyof typeof told]: z.ZodNullable<(typeof told)[K]>;
  }),
  state: z.string(),
  error: z.string().nullable(),
  message: z.string().nullable(),
  time_started: moment,
  time_finished: moment,
  last_auto_tidy_finished: moment.optional(),
  cert_store_deleted_count: count,
  revoked_cert_deleted_count: count,
  missing_issuer_cert_count: count,
  current_cert_store_count: count,
  current_revoked_cert_count: count,
  total_acme_account_count: count,
  acme_account_deleted_count: count,
  acme_account_revoked_count: count,
  acme_orders_deleted_count: count,
  internal_backend_uuid: z.string(),
});

/** What is asked for, over what holds where nothing is said. */
const optionsOf = (given: Fields, before: TidyOptions): TidyOptions => {
  const revokedBuffer = given.revoked_safety_buffer ?? before.revokedBuffer;
  return {
    certificates: given.tidy_cert_store ?? before.certificates,
    revoked: given.tidy_revoked_certs ?? given.tidy_revocation_list ?? before.revoked,
    invalid: given.tidy_invalid_certs ?? before.invalid,
    associations: given.tidy_revoked_cert_issuer_associations ?? before.associations,
    expiredIssuers: given.tidy_expired_issuers ?? before.expiredIssuers,
    legacyBundle: given.tidy_move_legacy_ca_bundle ?? before.legacyBundle,
    acme: given.tidy_acme ?? before.acme,
    buffer: given.safety_buffer ?? before.buffer,
    ...(revokedBuffer === undefined ? {} : { revokedBuffer }),
    issuerBuffer: given.issuer_safety_buffer ?? before.issuerBuffer,
    acmeAccountBuffer: given.acme_account_safety_buffer ?? before.acmeAccountBuffer,
    pause: given.pause_duration ?? before.pause,
    pageSize: given.page_size ?? before.pageSize,
  };
};

const optionsData = (options: TidyOptions): z.input<typeof toldAnswer> => ({
  tidy_cert_store: options.certificates,
  tidy_revoked_certs: options.revoked,
  tidy_invalid_certs: options.invalid,
  tidy_revoked_cert_issuer_associations: options.associations,
  tidy_expired_issuers: options.expiredIssuers,
  tidy_move_legacy_ca_bundle: options.legacyBundle,
  tidy_acme: options.acme,
  safety_buffer: seconds(options.buffer),
  revoked_safety_buffer: seconds(options.revokedBuffer ?? options.buffer),
  issuer_safety_buffer: seconds(options.issuerBuffer),
  acme_account_safety_buffer: seconds(options.acmeAccountBuffer),
  pause_duration: goDuration(options.pause),
  page_size: options.pageSize,
});

const autoData = (auto: AutoTidy): z.input<typeof autoAnswer> => ({
  ...optionsData(auto),
  enabled: auto.enabled,
  interval_duration: seconds(auto.interval),
  maintain_stored_certificate_counts: auto.maintainCounts,
  publish_stored_certificate_count_metrics: auto.publishCounts,
});

const refused = (reason: string) => failure('pki.request', { reason });

/** @throws Failure pki.request where the settings contradict one another */
function checkedAuto(auto: AutoTidy): AutoTidy {
  checkedTidy(auto);
  if (auto.interval < 0)
    throw refused('given interval_duration must be greater than or equal to zero seconds');
  if (auto.pageSize < 5) throw refused('page_size must be at least 5');
  if (auto.enabled && !isAnything(auto))
    throw refused(
      `Auto-tidy enabled but no tidy operations were requested. Enable at least one tidy operation to be run (${TIDY_TARGETS}).`,
    );
  if (auto.publishCounts && !auto.maintainCounts)
    throw refused(
      'Can not publish a running storage metrics count to metrics without first maintaining that count.  Enable `maintain_stored_certificate_counts` to enable `publish_stored_certificate_count_metrics`.',
    );
  return auto;
}

export function tidyRoutes(mount: Mount, store: PkiStore, tidier: Tidier): Route[] {
  const status = async (): Promise<z.input<typeof statusAnswer>> => {
    const { maintainCounts } = await store.setting('auto-tidy');
    const counted = async (folder: 'cert' | 'revoked'): Promise<number | null> =>
      maintainCounts ? (await store.list(folder)).length : null;
    const last = (await store.setting('tidied')).at;
    return {
      ...statusData(tidier.status, last),
      current_cert_store_count: await counted('cert'),
      current_revoked_cert_count: await counted('revoked'),
      internal_backend_uuid: mount.uuid,
    };
  };

  return [
    {
      path: 'tidy',
      operations: {
        write: operation({
          summary:
            'Begin to delete certificates, revocations, issuers and ACME orders that ended long enough ago.',
          input: z.object(fields),
          output: nothing,
          effect: 'write',
          async run(given): Promise<Reply<Record<string, never>>> {
            const options = checkedTidy(optionsOf(given, TIDY_DEFAULTS));
            if (options.pageSize > 0 && options.pageSize < 5)
              throw refused('page_size must be greater than five');
            if (!tidier.start(options)) return { warnings: ['Tidy operation already in progress.'] };
            const began =
              'Tidy operation successfully started. tidy-status tells how it goes, and the log of the server what failed.';
            const none = `Manual tidy requested but no tidy operations were set. Enable at least one tidy operation to be run (${TIDY_TARGETS}).`;
            return { status: 202, warnings: [isAnything(options) ? began : none] };
          },
        }),
      },
    },
    {
      path: 'tidy-cancel',
      operations: {
        write: operation({
          summary: 'Stop a tidying that runs.',
          input: z.object({}),
          output: statusAnswer,
          effect: 'write',
          async run() {
            if (tidier.cancel()) return { data: await status() };
            return { warnings: ['Tidy operation cannot be cancelled as none is currently running.'] };
          },
        }),
      },
    },
    {
      path: 'tidy-status',
      operations: {
        read: operation({
          summary: 'Read how the last tidying went.',
          input: z.object({}),
          output: statusAnswer,
          // It is in this process's memory: another worker would tell of another.
          effect: 'write',
          run: async () => ({ data: await status() }),
        }),
      },
    },
    {
      path: 'config/auto-tidy',
      operations: {
        read: operation({
          summary: 'Read what is tidied by itself, and when.',
          input: z.object({}),
          output: autoAnswer,
          effect: 'none',
          run: async () => ({ data: autoData(await store.setting('auto-tidy')) }),
        }),
        write: operation({
          summary: 'Set what is tidied by itself, and when; what is left out stays.',
          input: z.object({
            ...fields,
            enabled: flag().optional(),
            interval_duration: duration().optional(),
            maintain_stored_certificate_counts: flag().optional(),
            publish_stored_certificate_count_metrics: flag().optional(),
          }),
          output: autoAnswer,
          effect: 'write',
          async run(given) {
            const after = await store.changeSetting('auto-tidy', (before) =>
              checkedAuto({
                ...optionsOf(given, before),
                enabled: given.enabled ?? before.enabled,
                interval: given.interval_duration ?? before.interval,
                maintainCounts: given.maintain_stored_certificate_counts ?? before.maintainCounts,
                publishCounts: given.publish_stored_certificate_count_metrics ?? before.publishCounts,
              }),
            );
            const unpublished = after.publishCounts
              ? ['The counts are told by tidy-status; this server has no metric for them.']
              : [];
            return { data: autoData(after), warnings: unpublished };
          },
        }),
      },
    },
  ];
}

type Counted = 'current_cert_store_count' | 'current_revoked_cert_count' | 'internal_backend_uuid';

function statusData(status: TidyStatus, last: number): Omit<z.input<typeof statusAnswer>, Counted> {
  const isIdle = status.state === 'Inactive';
  const number = (value: number): number | null => (isIdle ? null : value);
  const time = (ms: number): string | null => (ms === 0 ? null : iso(ms));
  const options = optionsData(status.options);
  return {
    ...(isIdle
      ? (Object.fromEntries(Object.keys(options).map((name) => [name, null])) as {
          [K in keyof typeof options]: null;
        })
      : options),
    state: status.state,
    error: status.state === 'Error' ? 'the log of the server tells why' : null,
    message: status.message === '' ? null : status.message,
    time_started: time(status.started),
    time_finished: time(status.finished),
    ...(isIdle ? {} : { last_auto_tidy_finished: time(last) }),
    cert_store_deleted_count: number(status.certificatesDeleted),
    revoked_cert_deleted_count: number(status.revokedDeleted),
    missing_issuer_cert_count: number(status.missingIssuers),
    total_acme_account_count: number(status.accounts),
    acme_account_deleted_count: number(status.accountsDeleted),
    acme_account_revoked_count: number(status.accountsRevoked),
    acme_orders_deleted_count: number(status.ordersDeleted),
  };
}

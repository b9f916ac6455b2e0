/** `tidy`, `tidy-cancel` and `tidy-status`. */

import { z } from 'zod';
import { seconds } from '../../../base/duration.ts';
import { duration, flag } from '../../../base/schema.ts';
import { operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import { nothing } from '../asking.ts';
import { iso } from '../issuing.ts';
import type { Tidier, TidyStatus } from '../tidying.ts';

const DEFAULT_BUFFER = 72 * 3_600_000;

const answer = z.object({
  state: z.string(),
  error: z.string().nullable(),
  message: z.string().nullable(),
  safety_buffer: z.number(),
  tidy_cert_store: z.boolean(),
  tidy_revoked_certs: z.boolean(),
  time_started: z.string().nullable(),
  time_finished: z.string().nullable(),
  cert_store_deleted_count: z.number(),
  revoked_cert_deleted_count: z.number(),
});

const data = (status: TidyStatus): z.input<typeof answer> => ({
  state: status.state,
  error: status.state === 'Error' ? 'the log of the server tells why' : null,
  message: null,
  safety_buffer: seconds(status.options.buffer),
  tidy_cert_store: status.options.certificates,
  tidy_revoked_certs: status.options.revoked,
  time_started: status.started === 0 ? null : iso(status.started),
  time_finished: status.finished === 0 ? null : iso(status.finished),
  cert_store_deleted_count: status.certificatesDeleted,
  revoked_cert_deleted_count: status.revokedDeleted,
});

export const tidyRoutes = (tidier: Tidier): Route[] => [
  {
    path: 'tidy',
    operations: {
      write: operation({
        summary: 'Begin to delete certificates, and revocations, that ended long enough ago.',
        input: z.object({
          tidy_cert_store: flag().default(false),
          tidy_revoked_certs: flag().default(false),
          safety_buffer: duration().default(DEFAULT_BUFFER),
        }),
        output: nothing,
        effect: 'write',
        async run(given): Promise<Reply<Record<string, never>>> {
          const began = tidier.start({
            certificates: given.tidy_cert_store,
            revoked: given.tidy_revoked_certs,
            buffer: given.safety_buffer,
          });
          const none = !given.tidy_cert_store && !given.tidy_revoked_certs;
          return {
            status: 202,
            warnings: [
              began
                ? 'Tidy operation successfully started. tidy-status tells how it goes.'
                : 'Tidy operation already in progress.',
              ...(none
                ? ['No targets to tidy; specify tidy_cert_store=true or tidy_revoked_certs=true.']
                : []),
            ],
          };
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
        output: answer,
        effect: 'write',
        async run() {
          const ran = tidier.cancel();
          return { data: data(tidier.status), warnings: ran ? [] : ['No tidy operation is running.'] };
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
        output: answer,
        // It is in this process's memory: another worker would tell of another.
        effect: 'write',
        run: async () => ({ data: data(tidier.status) }),
      }),
    },
  },
];

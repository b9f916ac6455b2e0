/** init, seal-status, unseal, seal, health, leader: what must answer while nothing else does. */

import { z } from 'zod';
import { base64, fromBase64, fromHex, hex } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { flag, integer } from '../../base/schema.ts';
import { operation, type Route } from '../../plugin/plugin.ts';
import type { Platform, SealStatus } from '../core/core.ts';
import { timestamp } from '../core/envelope.ts';
import { exchangeOf } from '../core/exchange.ts';
import { bare } from './replies.ts';

const BUILD_DATE = '2026-11-22T00:00:00Z';
const none = z.object({});
const cluster = { cluster_name: z.string().optional(), cluster_id: z.string().optional() };
const initText = z.object({
  keys: z.array(z.string()),
  keys_base64: z.array(z.string()),
  recovery_keys: z.array(z.string()).optional(),
  recovery_keys_base64: z.array(z.string()).optional(),
  root_token: z.string(),
});
const statusOutput = z.object({
  type: z.string(),
  initialized: z.boolean(),
  sealed: z.boolean(),
  t: z.number(),
  n: z.number(),
  progress: z.number(),
  nonce: z.string(),
  version: z.string(),
  build_date: z.string(),
  migration: z.boolean(),
  recovery_seal: z.boolean(),
  recovery_seal_type: z.string().optional(),
  warnings: z.array(z.string()).optional(),
  storage_type: z.string(),
  ...cluster,
});
const leaderText = z.object({
  ha_enabled: z.boolean(),
  is_self: z.boolean(),
  active_time: z.string(),
  leader_address: z.string(),
  leader_cluster_address: z.string(),
  performance_standby: z.boolean(),
  performance_standby_last_remote_wal: z.number(),
});
const healthText = z.object({
  initialized: z.boolean(),
  sealed: z.boolean(),
  standby: z.boolean(),
  performance_standby: z.boolean(),
  replication_performance_mode: z.string(),
  replication_dr_mode: z.string(),
  server_time_utc: z.number(),
  version: z.string(),
  enterprise: z.boolean(),
  ...cluster,
});

/** Of the key that people hold, where nobody says. */
const SHARES = 5;
const THRESHOLD = 3;

const initInput = z.object({
  secret_shares: integer().optional(),
  secret_threshold: integer().optional(),
  recovery_shares: integer().optional(),
  recovery_threshold: integer().optional(),
  pgp_keys: z.array(z.string()).nullish(),
  recovery_pgp_keys: z.array(z.string()).nullish(),
  root_token_pgp_key: z.string().nullish(),
});

/** Of the unseal key, and of the recovery key. */
const HOLDERS = {
  unseal: ['secret_shares', 'secret_threshold', 'pgp_keys'],
  recovery: ['recovery_shares', 'recovery_threshold', 'recovery_pgp_keys'],
} as const;

/** What belongs to the other kind of seal is refused in upstream's words; 0 and nothing count as not said. */
function refuseOthers(input: z.output<typeof initInput>, recovery: boolean, type: string): void {
  const isGiven = (name: (typeof HOLDERS)[keyof typeof HOLDERS][number]): boolean => {
    const value = input[name];
    return Array.isArray(value) ? value.length > 0 : (value ?? 0) !== 0;
  };
  const others = HOLDERS[recovery ? 'unseal' : 'recovery'].filter(isGiven);
  if (others.length > 0)
    throw failure('request.invalid', {
      reason: `parameters ${others.join(',')} not applicable to seal type ${type}`,
    });
  // To take the keys and leave out the encryption that was asked for would hand them out in the clear.
  if (isGiven('pgp_keys') || isGiven('recovery_pgp_keys') || (input.root_token_pgp_key ?? '') !== '')
    throw failure('request.invalid', { reason: 'encrypting the shares with PGP keys is not supported' });
}

export function sealRoutes({ core, seal, version, node, ha }: Platform): Route[] {
  const statusText = (status: SealStatus): z.input<typeof statusOutput> => ({
    type: status.type,
    initialized: status.initialized,
    sealed: status.sealed,
    t: status.threshold,
    n: status.shares,
    progress: status.progress,
    nonce: status.nonce,
    version,
    build_date: BUILD_DATE,
    migration: status.migration,
    recovery_seal: status.recovery,
    ...(status.recovery && status.initialized ? { recovery_seal_type: 'shamir' } : {}),
    ...(status.warnings.length > 0 ? { warnings: [...status.warnings] } : {}),
    storage_type: status.storage,
    ...(status.sealed ? {} : { cluster_name: 'holdfast', cluster_id: status.clusterId }),
  });

  const init = operation({
    summary: 'Initializes the server and gives its key shares and root token, once.',
    input: initInput,
    output: initText,
    effect: 'write',
    async run(input) {
      const { recovery, type } = await seal.status();
      refuseOthers(input, recovery, type);
      const [shares, threshold] = recovery
        ? [
            input.recovery_shares ?? SHARES,
            input.recovery_threshold ?? (input.recovery_shares === 0 ? 0 : THRESHOLD),
          ]
        : [input.secret_shares ?? SHARES, input.secret_threshold ?? THRESHOLD];
      const { keys, rootToken } = await seal.initialize(shares, threshold);
      const shown = { hex: keys.map(hex), base64: keys.map(base64) };
      if (!recovery) return bare({ keys: shown.hex, keys_base64: shown.base64, root_token: rootToken });
      return bare({
        keys: [],
        keys_base64: [],
        ...(keys.length > 0 ? { recovery_keys: shown.hex, recovery_keys_base64: shown.base64 } : {}),
        root_token: rootToken,
      });
    },
  });

  const unseal = operation({
    summary: 'Takes one key share; with enough of them the server opens.',
    input: z.object({
      key: z.string().default(''),
      reset: flag().default(false),
      migrate: flag().default(false),
    }),
    output: statusOutput,
    effect: 'write',
    async run({ key, reset, migrate }) {
      if (reset) return bare(statusText(await seal.reset()));
      if (key === '')
        throw failure('request.invalid', {
          reason: "'key' must be specified in request body as JSON, or 'reset' set to true",
        });
      const share = fromHex(key) ?? fromBase64(key);
      if (share === undefined || share.length === 0)
        throw failure('request.invalid', { reason: "'key' must be a valid hex or base64 string" });
      return bare(statusText(await seal.submit(share, migrate)));
    },
  });

  return [
    {
      path: 'init',
      access: 'public',
      sealed: true,
      operations: {
        read: operation({
          summary: 'Whether the server is initialized.',
          input: none,
          output: z.object({ initialized: z.boolean() }),
          effect: 'none',
          run: async () => bare({ initialized: (await seal.status()).initialized }),
        }),
        write: init,
      },
    },
    {
      path: 'seal-status',
      access: 'public',
      sealed: true,
      operations: {
        read: operation({
          summary: 'Whether the server is sealed, and how many shares it has been given.',
          input: none,
          output: statusOutput,
          effect: 'none',
          run: async () => bare(statusText(await seal.status())),
        }),
      },
    },
    { path: 'unseal', access: 'public', sealed: true, operations: { write: unseal } },
    {
      path: 'seal',
      access: 'sudo',
      operations: {
        write: operation({
          summary: 'Seals the server: its keys are forgotten until it is unsealed again.',
          input: none,
          output: none,
          effect: 'write',
          async run(_input, call) {
            // After this answer's audit line: the trail of a sealed server cannot be written.
            exchangeOf(call).later(() => seal.seal());
            return {};
          },
        }),
      },
    },
    {
      path: 'leader',
      access: 'public',
      sealed: true,
      operations: {
        read: operation({
          summary: 'Which node leads.',
          input: none,
          output: leaderText,
          effect: 'none',
          async run() {
            if ((await seal.status()).sealed) throw failure('server.sealed');
            return bare({
              ...leaderOf(ha, node),
              performance_standby: false,
              performance_standby_last_remote_wal: 0,
            });
          },
        }),
      },
    },
    healthRoute({ core, seal, version, ...(ha === undefined ? {} : { ha }) }),
  ];
}

/** Who leads, in the fields of upstream. A node that is no cluster's leads where its address is known. */
function leaderOf(ha: Platform['ha'], node: Platform['node']) {
  const never = '0001-01-01T00:00:00Z';
  if (ha === undefined)
    return {
      ha_enabled: false,
      is_self: node.apiAddress() !== '',
      active_time: never,
      leader_address: node.apiAddress(),
      leader_cluster_address: node.clusterAddress,
    };
  const leader = ha.leader();
  const since = ha.leads() ? ha.since() : undefined;
  return {
    ha_enabled: true,
    is_self: ha.leads(),
    active_time: since === undefined ? never : timestamp(since),
    leader_address: leader?.apiAddress ?? '',
    leader_cluster_address: leader?.clusterAddress ?? '',
  };
}

/** A node that can neither answer nor ask the leader must get nothing from a balancer, though it takes standbys. */
function standbyCode(
  asked: {
    readonly standbyok?: boolean | undefined;
    readonly standbycode: number;
    readonly activecode: number;
  },
  ha: Platform['ha'],
): number {
  if (ha?.answers() !== true) return UNABLE;
  return asked.standbyok === true ? asked.activecode : asked.standbycode;
}
const UNABLE = 503;

const statusCode = () => integer().refine((code) => code >= 100 && code <= 599, 'expected a status code');

function healthRoute({ core, seal, version, ha }: Pick<Platform, 'core' | 'seal' | 'version' | 'ha'>): Route {
  return {
    path: 'health',
    access: 'public',
    sealed: true,
    operations: {
      read: operation({
        summary: 'How the server is, told by the status of the answer as load balancers want it.',
        input: z.object({
          activecode: statusCode().default(200),
          sealedcode: statusCode().default(503),
          uninitcode: statusCode().default(501),
          standbyok: flag().optional(),
          perfstandbyok: flag().optional(),
          standbycode: statusCode().default(429),
          drsecondarycode: integer().optional(),
          performancestandbycode: integer().optional(),
        }),
        output: healthText,
        effect: 'none',
        async run(input) {
          const status = await seal.status();
          const standby = !status.sealed && ha !== undefined && !ha.leads();
          const code = !status.initialized
            ? input.uninitcode
            : status.sealed
              ? input.sealedcode
              : standby
                ? standbyCode(input, ha)
                : input.activecode;
          return bare(
            {
              initialized: status.initialized,
              sealed: status.sealed,
              standby: status.sealed || standby,
              performance_standby: false,
              replication_performance_mode: 'disabled',
              replication_dr_mode: 'disabled',
              server_time_utc: Math.floor(core.clock.now() / 1000),
              version,
              enterprise: false,
              ...(status.sealed ? {} : { cluster_name: 'holdfast', cluster_id: status.clusterId }),
            },
            code,
          );
        },
      }),
    },
  };
}

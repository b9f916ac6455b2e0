/**
 * generate-root and rekey: what the holders of the unseal keys do, who need no token, for their shares are their right.
 * The same under newer names (generate-root-token/, rotate/root/) that do ask for a token with `sudo` besides.
 */

import { z } from 'zod';
import { base64, fromBase64, fromHex, hex } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { flag, integer } from '../../base/schema.ts';
import { operation, type Reply, type Route } from '../../plugin/plugin.ts';
import { type Core, services } from '../core/core.ts';
import {
  type Ceremonies,
  OTP_LENGTH,
  type RekeyStatus,
  type RootStatus,
  type VerifyStatus,
} from '../seal/ceremonies.ts';
import { bare } from './replies.ts';

const none = z.object({});
const attempt = { nonce: z.string(), started: z.boolean(), progress: z.number() };
const rootOutput = z.object({
  ...attempt,
  required: z.number(),
  complete: z.boolean(),
  encoded_token: z.string(),
  encoded_root_token: z.string(),
  pgp_fingerprint: z.string(),
  otp: z.string(),
  otp_length: z.number(),
});
/** Shares are never encrypted for their holders here, so there are neither fingerprints nor a backup. */
const rekeyFacts = {
  pgp_fingerprints: z.null(),
  backup: z.boolean(),
  verification_required: z.boolean(),
  verification_nonce: z.string().optional(),
};
const rekeyOutput = z.object({
  ...attempt,
  t: z.number(),
  n: z.number(),
  required: z.number(),
  ...rekeyFacts,
});
const verified = z.object({ nonce: z.string(), complete: z.literal(true) });
const rekeyed = verified.extend({
  keys: z.array(z.string()),
  keys_base64: z.array(z.string()),
  ...rekeyFacts,
});
const verifyOutput = z.object({ ...attempt, t: z.number(), n: z.number() });
const shareInput = z.object({ key: z.string().default(''), nonce: z.string().default('') });

/** @throws Failure request.invalid, in words that never repeat the key */
function shareOf({ key, nonce }: z.output<typeof shareInput>): Uint8Array {
  if (key === '')
    throw failure('request.invalid', { reason: "'key' must be specified in request body as JSON" });
  if (nonce === '')
    throw failure('request.invalid', { reason: "'nonce' must be specified in request body as JSON" });
  const share = fromHex(key) ?? fromBase64(key);
  if (share === undefined || share.length === 0)
    throw failure('request.invalid', { reason: "'key' must be a valid hex or base64 string" });
  return share;
}

const noPgp = (given: readonly string[] | string | null | undefined): void => {
  // To take the keys and leave out the encryption that was asked for would hand them out in the clear.
  if ((given?.length ?? 0) > 0)
    throw failure('request.invalid', { reason: 'encrypting with PGP keys is not supported' });
};

export function ceremonyRoutes(core: Core, ceremonies: Ceremonies): Route[] {
  return [
    ...rootRoutes(core, ceremonies, 'generate-root', 'public'),
    ...rootRoutes(core, ceremonies, 'generate-root-token', 'sudo'),
    ...rekeyRoutes(core, ceremonies, 'rekey', 'public', 'barrier'),
    ...rekeyRoutes(core, ceremonies, 'rotate/root', 'sudo', 'barrier'),
    ...rekeyRoutes(core, ceremonies, 'rekey-recovery-key', 'public', 'recovery'),
    ...rekeyRoutes(core, ceremonies, 'rotate/recovery', 'sudo', 'recovery'),
  ];
}

type Access = 'public' | 'sudo';

function rootRoutes(core: Core, ceremonies: Ceremonies, root: string, access: Access): Route[] {
  const shown = (status: RootStatus & { otp?: string; complete?: boolean; encoded?: string }): Reply<never> =>
    bare({
      nonce: status.nonce,
      started: status.started,
      progress: status.progress,
      required: status.required,
      complete: status.complete ?? false,
      encoded_token: status.encoded ?? '',
      encoded_root_token: status.encoded ?? '',
      pgp_fingerprint: '',
      otp: status.otp ?? '',
      otp_length: OTP_LENGTH,
    });
  const make = (): Promise<string> => services(core).tokens.createRoot();
  return [
    {
      path: `${root}/attempt`,
      access,
      operations: {
        read: operation({
          summary: 'How far the making of a root token is.',
          input: none,
          output: rootOutput,
          effect: 'none',
          run: async () => shown(await ceremonies.rootStatus()),
        }),
        write: operation({
          summary: 'Begins to make a root token, which is told under a one-time pad.',
          input: z.object({ otp: z.string().default(''), pgp_key: z.string().default('') }),
          output: rootOutput,
          effect: 'write',
          async run({ otp, pgp_key }) {
            noPgp(pgp_key);
            return shown(await ceremonies.beginRoot(otp === '' ? undefined : otp));
          },
        }),
        delete: operation({
          summary: 'Gives up making a root token.',
          input: none,
          output: none,
          effect: 'write',
          async run() {
            await ceremonies.cancelRoot();
            return {};
          },
        }),
      },
    },
    {
      path: `${root}/update`,
      access,
      operations: {
        write: operation({
          summary: 'Takes one key share; with enough of them a root token is made.',
          input: shareInput,
          output: rootOutput,
          effect: 'write',
          run: async (input) => shown(await ceremonies.updateRoot(shareOf(input), input.nonce, make)),
        }),
      },
    },
  ];
}

function rekeyText(status: RekeyStatus): z.input<typeof rekeyOutput> {
  return {
    nonce: status.nonce,
    started: status.started,
    t: status.t,
    n: status.n,
    progress: status.progress,
    required: status.required,
    pgp_fingerprints: null,
    backup: false,
    verification_required: status.verify,
    ...(status.verifyNonce === '' ? {} : { verification_nonce: status.verifyNonce }),
  };
}

const verifyText = (status: VerifyStatus): z.input<typeof verifyOutput> => ({ ...status });

/** Whose shares are replaced: a server has either unseal keys or recovery keys. */
type Target = 'barrier' | 'recovery';

/** @throws Failure server.sealed, server.uninitialized, request.invalid where this server has no such keys */
function requireKeys(core: Core, { service }: Ceremonies, target: Target): void {
  if (target === 'recovery' && service === undefined)
    throw failure('request.invalid', { reason: 'recovery rekeying not supported' });
  if (target === 'barrier' && service !== undefined) {
    services(core);
    throw failure('request.invalid', {
      reason: `nobody holds an unseal key of this server, which seal type ${service} opens: rekey the recovery key, or rotate the key of that seal where it is kept`,
    });
  }
}

function rekeyRoutes(
  core: Core,
  ceremonies: Ceremonies,
  root: string,
  access: Access,
  target: Target,
): Route[] {
  const required = (): void => requireKeys(core, ceremonies, target);
  const begin = operation({
    summary: 'Begins to replace the key shares.',
    input: z.object({
      secret_shares: integer().default(0),
      secret_threshold: integer().default(0),
      pgp_keys: z.array(z.string()).nullish(),
      backup: flag().default(false),
      require_verification: flag().default(false),
      stored_shares: integer().default(0),
    }),
    output: rekeyOutput,
    effect: 'write',
    async run(input) {
      required();
      noPgp(input.pgp_keys);
      if (input.backup)
        throw failure('request.invalid', {
          reason: 'cannot request a backup of the new keys without providing PGP keys for encryption',
        });
      const status = await ceremonies.beginRekey({
        shares: input.secret_shares,
        threshold: input.secret_threshold,
        verify: input.require_verification,
      });
      return bare(rekeyText(status));
    },
  });
  const cancel = operation({
    summary: 'Gives up replacing the key shares; the present ones stay valid.',
    input: z.looseObject({}),
    output: none,
    effect: 'write',
    async run() {
      required();
      await ceremonies.cancelRekey();
      return {};
    },
  });
  const update = operation({
    summary: 'Takes one present key share; with enough of them the new shares are given.',
    input: shareInput,
    output: z.union([rekeyOutput, rekeyed]),
    effect: 'write',
    async run(input) {
      required();
      const outcome = await ceremonies.updateRekey(shareOf(input), input.nonce);
      if (!outcome.complete) return bare(rekeyText(outcome));
      return bare({
        nonce: input.nonce,
        complete: true,
        keys: outcome.keys.map(hex),
        keys_base64: outcome.keys.map(base64),
        pgp_fingerprints: null,
        backup: false,
        verification_required: outcome.verify,
        ...(outcome.verifyNonce === '' ? {} : { verification_nonce: outcome.verifyNonce }),
      });
    },
  });
  return [
    {
      path: `${root}/init`,
      access,
      operations: {
        read: operation({
          summary: 'How far the replacing of the key shares is.',
          input: none,
          output: rekeyOutput,
          effect: 'none',
          async run() {
            required();
            return bare(rekeyText(await ceremonies.rekeyStatus()));
          },
        }),
        write: begin,
        delete: cancel,
      },
    },
    { path: `${root}/update`, access, operations: { write: update } },
    {
      path: `${root}/verify`,
      access,
      operations: {
        read: operation({
          summary: 'How many new shares have been given back.',
          input: none,
          output: verifyOutput,
          effect: 'none',
          async run() {
            required();
            return bare(verifyText(await ceremonies.verifyStatus()));
          },
        }),
        write: operation({
          summary: 'Takes one new share; with enough of them the new shares become the valid ones.',
          input: shareInput,
          output: z.union([verifyOutput, verified]),
          effect: 'write',
          async run(input) {
            required();
            const status = await ceremonies.updateVerify(shareOf(input), input.nonce);
            return bare(status.complete ? { nonce: input.nonce, complete: true } : verifyText(status));
          },
        }),
        delete: operation({
          summary: 'Forgets the new shares given back so far.',
          input: z.looseObject({}),
          output: verifyOutput,
          effect: 'write',
          async run() {
            required();
            return bare(verifyText(await ceremonies.restartVerify()));
          },
        }),
      },
    },
    {
      path: `${root}/backup`,
      // Backups hold shares encrypted for their holders: never to be had without a token.
      access: 'sudo',
      operations: {
        read: operation({
          summary: 'The encrypted copy of the new shares; none is ever made here.',
          input: none,
          output: none,
          effect: 'none',
          async run() {
            services(core);
            required();
            throw failure('request.invalid', { reason: 'no backed-up keys found' });
          },
        }),
        delete: operation({
          summary: 'Deletes the encrypted copy of the new shares.',
          input: none,
          output: none,
          effect: 'write',
          run: async () => ({}),
        }),
      },
    },
  ];
}

/** The seal as people work it: what state the store is in, and the steps that open, close and make it. */

import { failure } from '../base/errors.ts';
import type { SealControl, SealStatus } from './core/core.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { SealKeeper } from './seal/keeper.ts';
import type { Surroundings } from './surroundings.ts';

/** How long an open node waits for the store to tell of its seal. */
const STATUS_MS = 300;
type KeeperStatus = Awaited<ReturnType<SealKeeper['status']>>;

export interface Seal extends SealControl {
  /** Whether the store was made, as far as this process knows: another node may have done it. */
  readonly initialized: boolean;
}

/** @param problem why the store has not opened by itself yet */
export async function sealControl(
  { options, barrier, keeper }: Surroundings,
  lifecycle: Lifecycle,
  problem: () => string | undefined,
): Promise<Seal> {
  const { backend, clock, cluster, seals } = options;
  let lastKnown: KeeperStatus | undefined;
  let { initialized } = await keeper.status();

  /** An open node of a cluster tells what it is at once, from what it knew last, though the store does not answer. */
  const known = async (): Promise<KeeperStatus> => {
    const asked = keeper.status().then((status) => {
      lastKnown = status;
      return status;
    });
    const last = lastKnown;
    if (lifecycle.node === undefined || last === undefined) return asked;
    const kept = { ...last, sealed: barrier.sealed };
    return new Promise((resolve) => {
      const cancel = clock.after(STATUS_MS, () => resolve(kept));
      asked.then(resolve, () => resolve(kept)).finally(cancel);
    });
  };

  const status = async (): Promise<SealStatus> => {
    const { type, sealed, t, n, progress, nonce, recovery, migration, ...rest } = await known();
    initialized = rest.initialized;
    const warnings = [sealed ? problem() : undefined, seals?.active?.caution];
    return {
      type,
      initialized,
      sealed: sealed || !lifecycle.isOpen,
      threshold: t,
      shares: n,
      progress,
      nonce,
      storage: backend.name,
      clusterId: lifecycle.current?.clusterId ?? '',
      recovery,
      migration,
      warnings: warnings.filter((warning) => warning !== undefined),
    };
  };

  return {
    get initialized() {
      return initialized;
    },
    status,
    initialize: (shares, threshold) =>
      lifecycle.inTurn(async () => {
        if (cluster !== undefined && (await keeper.status()).initialized)
          throw failure('barrier.initialized');
        const made = await lifecycle.asLeader(async () => {
          const keys = await keeper.initialize({ shares, threshold });
          initialized = true;
          return { keys, rootToken: await lifecycle.rootToken() };
        });
        // Who holds shares opens it with them; where nobody needs to, it is open.
        if (seals?.active === undefined) await lifecycle.shut();
        else await lifecycle.open();
        return made;
      }),
    submit: (share, migrate) =>
      lifecycle.inTurn(async () => {
        const submit = () => keeper.submitShare(share, migrate);
        // What moves the store to another seal writes it, and what only opens it does not.
        await (migrate === true ? lifecycle.asLeader(submit) : submit());
        await lifecycle.open();
        return status();
      }),
    reset: () =>
      lifecycle.inTurn(async () => {
        await keeper.reset();
        return status();
      }),
    seal: () => lifecycle.inTurn(() => lifecycle.shut()),
  };
}

/**
 * A store as it opens and closes: with services of this process alone, or as one node of a cluster. What is open lives here
 * and nowhere else, so that a sealed server has nothing left to give away.
 */

import { randomUUID } from 'node:crypto';
import { failure } from '../base/errors.ts';
import { sleep } from '../base/retry.ts';
import type { ClusterNode } from './cluster/node.ts';
import { PACE, type Pace, Tenure } from './cluster/tenure.ts';
import { type Member, type Part, takePart } from './membership.ts';
import type { ClusterOptions } from './options.ts';
import type { SealKeeper } from './seal/keeper.ts';
import { type Opened, openServices } from './services.ts';
import type { Surroundings } from './surroundings.ts';

export type Opening = Awaited<ReturnType<SealKeeper['openByService']>>;

/** How often a node looks whether another one has initialized the store. */
const UNMADE_MS = 1000;

export class Lifecycle {
  readonly #around: Surroundings;
  readonly #pace: Pace;
  readonly #nodeId = randomUUID();
  #alone: Opened | undefined;
  #member: Member | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(around: Surroundings) {
    this.#around = around;
    this.#pace = { ...PACE, ...around.options.cluster?.pace };
  }

  /** What is open here now, whoever leads. */
  get current(): Opened | undefined {
    return this.#member === undefined ? this.#alone : this.#member.node.services;
  }

  get isOpen(): boolean {
    return this.#alone !== undefined || this.#member !== undefined;
  }

  /** Undefined where nobody else can open the store, and while it is sealed. */
  get node(): ClusterNode<Part> | undefined {
    return this.#member?.node;
  }

  get dispatch(): Member['dispatch'] | undefined {
    return this.#member?.dispatch;
  }

  /** Opening and closing, one after the other: two at once would leave half of each. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  /** Once the barrier is open. Half a server must not answer: where this fails, all is closed again, and can be tried again. */
  async open(): Promise<void> {
    const { options, barrier, events, backups } = this.#around;
    const { cluster } = options;
    if (this.isOpen || barrier.sealed) return;
    if (cluster !== undefined) return this.#join(cluster);
    try {
      this.#alone = await this.#services();
      events.reset(await options.backend.head());
      this.#alone.begin();
      backups().begin();
      options.readers?.open(() => barrier.rootKey());
    } catch (error) {
      await this.shut();
      throw error;
    }
  }

  async shut(): Promise<void> {
    const { options, ceremonies, keeper, backups } = this.#around;
    await backups().end();
    // First, while what they hand over is still taken: lines of their answers among it.
    await options.readers?.seal();
    const closing = this.#alone;
    this.#alone = undefined;
    ceremonies.drop();
    await closing?.close();
    const leaving = this.#member;
    this.#member = undefined;
    await leaving?.node.stop();
    await keeper.seal();
  }

  /** Asks the seal's service to open the store. */
  async openByService(): Promise<Opening> {
    const { keeper, options } = this.#around;
    const outcome = await keeper.openByService();
    if (outcome === 'open') {
      await this.open();
      // In a cluster whoever leads does it, once it does.
      if (options.cluster === undefined) await this.#rewrap();
    }
    return outcome;
  }

  /** Another node of the cluster may initialize the store at any time, and tells nobody. */
  async openOnceMade(): Promise<Opening> {
    const { options, leaving } = this.#around;
    for (;;) {
      const outcome = await this.inTurn(() => this.openByService());
      if (outcome !== 'uninitialized' || options.cluster === undefined) return outcome;
      await sleep(UNMADE_MS, leaving);
    }
  }

  /** Does what has to be written while no node is open, as the leader for so long. @throws Failure storage.led */
  async asLeader<T>(work: () => Promise<T>): Promise<T> {
    const { options, barrier } = this.#around;
    if (options.cluster === undefined) return work();
    const { leadership } = options.cluster;
    const { clock, log, apiAddress } = options;
    const self = { id: this.#nodeId, address: apiAddress?.() ?? '' };
    const tenure = await Tenure.win(self, { leadership, clock, log, pace: this.#pace });
    if (tenure === undefined)
      throw failure('storage.led', { leader: (await leadership.leader())?.address ?? 'unknown' });
    try {
      return await work();
    } finally {
      await barrier.idle();
      await tenure.resign();
    }
  }

  /** The first token of a store that was just made. */
  async rootToken(): Promise<string> {
    const part = await this.#services();
    try {
      return await part.services.tokens.createRoot();
    } finally {
      await part.close();
    }
  }

  /** Replaces the store under the server. What lives in memory is of the old one: all of it goes before the new one is in place. */
  async replace(replace: () => Promise<void>): Promise<void> {
    const { options, barrier, ceremonies, backups } = this.#around;
    await backups().end();
    await options.readers?.seal();
    const closing = this.#alone;
    this.#alone = undefined;
    ceremonies.drop();
    if (this.#member !== undefined) {
      await this.#member.node.underneath(replace);
      if (barrier.sealed) await this.shut();
    } else {
      await closing?.close();
      try {
        await replace();
      } finally {
        await this.open();
      }
    }
    // A snapshot that another root key opens has it wrapped by the same seal, perhaps.
    if (barrier.sealed && options.seals?.active !== undefined)
      await this.openByService().catch((error: unknown) =>
        options.log.error('the restored store is sealed', { error }),
      );
  }

  #services(): Promise<Opened> {
    const { options, barrier, events, types } = this.#around;
    return openServices(options, barrier.view(''), barrier, events, types());
  }

  async #join(cluster: ClusterOptions): Promise<void> {
    this.#member = takePart(this.#around, cluster, {
      id: this.#nodeId,
      pace: this.#pace,
      rewrap: () => void this.inTurn(() => this.#rewrap()),
      reopen: () => this.#reopen(),
    });
    await this.#member.node.start();
  }

  /** The root key was replaced by another node. */
  #reopen(): void {
    const { log, seals } = this.#around.options;
    this.inTurn(async () => {
      await this.shut();
      if (seals?.active !== undefined) await this.openByService();
    }).catch((error: unknown) => log.error('this node stays sealed', { error }));
  }

  async #rewrap(): Promise<void> {
    const { keeper, options } = this.#around;
    try {
      if (await keeper.rewrap()) options.log.info('the root key was wrapped by the newest key of the seal');
    } catch (error) {
      options.log.warn('the root key was not wrapped by the newest key of the seal', { error });
    }
  }
}

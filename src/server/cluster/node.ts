/**
 * One node of a cluster, from the moment that its barrier is open until it is closed: it leads, or it follows and tries to lead.
 * Its life is a loop in which one thing happens at a time; requests only look at where it stands (dispatch.ts). What a leader does
 * by itself begins when the lead is won and ends before it is given up.
 */

import type { Clock } from '../../base/clock.ts';
import { failure, isFailure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { pause, Waiting } from '../../base/waiting.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { Leadership } from '../../storage/leadership.ts';
import type { Feed, Storage, Write } from '../../storage/storage.ts';
import type { Answer, Request } from '../core/request.ts';
import { createFollower, type Follower, type Following } from '../follow/follower.ts';
import { Generation } from '../follow/generation.ts';
import type { Role } from './decide.ts';
import { Forwarder } from './forwarder.ts';
import { type ClusterListener, listenForNodes, type Serving } from './listener.ts';
import {
  type Advert,
  announce,
  type ClusterIdentity,
  ensureIdentity,
  readAdvert,
  readIdentity,
} from './record.ts';
import { type Pace, Tenure } from './tenure.ts';
import type { Greeting } from './wire.ts';

/** Services that may write, while their tenure lasts. */
export interface Leading extends Following {
  /** Starts what acts by itself. */
  begin(): void;
}

/** The barrier, as a node needs it. */
export interface NodeBarrier extends Feed {
  view(prefix: string): Storage;
  /** Lets go of what is kept in memory, of these keys or of all. */
  forget(keys?: readonly string[]): void;
  /** Resolves when no commit is under way. */
  idle(): Promise<void>;
  /** Reads its keys anew. @throws Failure barrier.wrong_key where another root key opens them by now */
  refresh(rootKey?: Uint8Array): Promise<void>;
  /** The root key, where it replaced another a moment ago; the caller's to wipe. */
  handOver(): Buffer | undefined;
}

export interface NodeOptions<S extends Following> {
  readonly leadership: Leadership;
  readonly barrier: NodeBarrier;
  readonly clock: Clock;
  readonly log: Log;
  readonly pace: Pace;
  /** Of this life of this process. */
  readonly id: string;
  readonly self: () => Omit<Greeting, 'id'>;
  /** Where other nodes reach this one; absent: they do not, and clients are sent to the leader instead. */
  readonly bind?: { readonly host: string; readonly port: number };
  /** Which address to tell others, given the port that was bound. */
  readonly clusterAddress: (port: number) => string;
  /** @param over aborted once what is opened may write no more */
  readonly openLeading: (over: AbortSignal) => Promise<S & Leading>;
  /** @param relay hands writes of this node to the leader; false: it does not take such */
  readonly openFollowing: (relay: (writes: readonly Write[]) => Promise<number> | false) => Promise<S>;
  /** Told when this node begins to lead, once it answers. */
  readonly led: () => void;
  /** Told when the keys of the store are no longer those that this node has. */
  readonly keysLost: () => void;
  /** Takes a socket that another node hands on, which asks for events. */
  readonly events: Serving['events'];
}

/** What other nodes may have the leader keep: the heads of their own audit trails, and nothing else. */
const RELAYED = 'sys/audit/anchors/';
const GREET_MS = 5000;
/** A standby that is silent for longer is not told of any more. */
const SILENT_MS = 60_000;

export class ClusterNode<S extends Following> {
  readonly #options: NodeOptions<S>;
  readonly #stop = new AbortController();
  readonly #waiting: Waiting;
  readonly #greetings = new Map<string, Greeting & { readonly at: number }>();
  #role: Role = 'between';
  #tenure: Tenure | undefined;
  #leading: Generation<S & Leading> | undefined;
  #follower: Follower<S> | undefined;
  #forwarder: Forwarder | undefined;
  #leader: Advert | undefined;
  #listener: ClusterListener | undefined;
  #running: Promise<void> | undefined;
  #stepDown: (() => void) | undefined;
  /** Aborted once the services of this time of leading may write no more. */
  #over = new AbortController();
  /** Until when others go first, on the monotonic clock. */
  #heldOffUntil = 0;
  #greeting: (() => void) | undefined;

  constructor(options: NodeOptions<S>) {
    this.#options = options;
    this.#waiting = new Waiting(options.clock);
  }

  get role(): Role {
    return this.#role;
  }

  get tenure(): Tenure | undefined {
    return this.#tenure;
  }

  get leading(): Generation<S & Leading> | undefined {
    return this.#leading;
  }

  get follower(): Follower<S> | undefined {
    return this.#follower;
  }

  get forwarder(): Forwarder | undefined {
    return this.#forwarder;
  }

  /** The last node that told of itself that it leads. */
  get leader(): Advert | undefined {
    return this.#leader;
  }

  get services(): S | undefined {
    return this.#leading?.services ?? this.#follower?.services;
  }

  /** Whether it answers for the store at this moment. */
  get leads(): boolean {
    return this.#role === 'leading' && this.#tenure?.holds() === true;
  }

  /** Whether a client that comes now is answered, by this node or through it, as far as it knows. */
  get answers(): boolean {
    if (this.#role !== 'following') return this.leads;
    return this.#follower?.answers === true || this.#forwarder?.healthy === true;
  }

  /** The standbys that told of themselves lately. */
  get standbys(): readonly (Greeting & { readonly at: number })[] {
    const oldest = this.#options.clock.now() - SILENT_MS;
    return [...this.#greetings.values()].filter(({ at }) => at >= oldest);
  }

  get id(): string {
    return this.#options.id;
  }

  /** Resolves when it leads or follows for the first time. */
  async start(): Promise<void> {
    const begun = new Promise<void>((resolve) => {
      this.#running = this.#run(resolve).catch((error: unknown) => {
        this.#options.log.error('the node cannot take part in its cluster', { error });
        resolve();
      });
    });
    await begun;
  }

  /** Gives the lead up, if it has it, and takes part no more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#stepDown?.();
    this.#waiting.wake();
    await this.#running;
    this.#greeting?.();
    this.#forwarder?.close();
    this.#forwarder = undefined;
    await this.#listener?.close();
    this.#listener = undefined;
  }

  /** Hands the lead to others, and lets them go first for a while. Nothing happens to who does not lead. */
  stepDown(): void {
    if (this.#role !== 'leading') return;
    const { clock, log, pace } = this.#options;
    log.info('stepping down', { for: `${pace.stepDownMs} ms` });
    this.#heldOffUntil = clock.monotonic() + pace.stepDownMs;
    this.#stepDown?.();
  }

  /**
   * Does something to the store under everybody's feet, as its leader: the services are closed before and opened anew after.
   * @throws Failure cluster.no_leader where this node does not lead
   */
  async underneath(work: () => Promise<void>): Promise<void> {
    const tenure = this.#tenure;
    const leading = this.#leading;
    if (tenure === undefined || leading === undefined) throw failure('cluster.no_leader');
    this.#turnTo('between');
    this.#leading = undefined;
    await leading.services.close();
    try {
      await work();
    } finally {
      await this.#takeOver(tenure).catch((error: unknown) => {
        this.#options.log.error('the store was not opened again', { error });
        this.#stepDown?.();
      });
    }
  }

  /** Resolves when something about who leads changed, or after `ms`. */
  changed(ms: number): Promise<void> {
    return this.#waiting.until(ms);
  }

  /** Keeps writes of another node, of those that are its own to make. */
  async keep(writes: readonly Write[]): Promise<number | undefined> {
    if (!this.leads || !writes.every(({ key }) => key.startsWith(RELAYED))) return undefined;
    return this.#options.barrier.view('').commit(writes);
  }

  greeted(by: Greeting): void {
    this.#greetings.set(by.id, { ...by, at: this.#options.clock.now() });
  }

  async #run(begun: () => void): Promise<void> {
    const { signal } = this.#stop;
    for (;;) {
      let tenure = await this.#campaign();
      if (tenure === undefined && !signal.aborted) {
        this.#follow();
        begun();
        tenure = await this.#campaignUntilWon();
      }
      if (tenure === undefined) break;
      this.#turnTo('between');
      const follower = this.#follower;
      this.#follower = undefined;
      // It lets those end that it answers, and they may as well end beside the new services.
      void follower?.close();
      const ended = new Promise<void>((resolve) => {
        this.#stepDown = resolve;
        tenure.ended.addEventListener('abort', () => resolve(), { once: true });
      });
      try {
        await this.#takeOver(tenure);
        begun();
        if (!signal.aborted) await ended;
      } catch (error) {
        this.#options.log.error('the lead was won and could not be taken', { error });
        this.#heldOffUntil = this.#options.clock.monotonic() + this.#options.pace.ttlMs;
        if (isFailure(error, 'barrier.wrong_key')) this.#options.keysLost();
      }
      await this.#giveUp(tenure);
      if (signal.aborted) break;
    }
    await this.#follower?.close();
    this.#follower = undefined;
    this.#turnTo('between');
  }

  /** One try, unless others go first. */
  async #campaign(): Promise<Tenure | undefined> {
    const { clock, id, log, pace, leadership } = this.#options;
    if (this.#stop.signal.aborted || clock.monotonic() < this.#heldOffUntil) return undefined;
    try {
      const address = this.#options.self().apiAddress;
      return await Tenure.win({ id, address }, { leadership, clock, log, pace });
    } catch (error) {
      log.debug('the database was not asked for the lead', { error });
      return undefined;
    }
  }

  async #campaignUntilWon(): Promise<Tenure | undefined> {
    const { clock, pace } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await pause(clock, pace.campaignMs, signal);
      const tenure = await this.#campaign();
      if (tenure !== undefined) return tenure;
    }
    return undefined;
  }

  #follow(): void {
    const { barrier, clock, log, openFollowing, pace } = this.#options;
    this.#follower = createFollower<S>({
      feed: barrier,
      readIndex: () => barrier.head(),
      open: () => openFollowing((writes) => this.#relay(writes)),
      forget: (keys) => barrier.forget(keys),
      rekey: () => this.#rekey(),
      leaderChanged: () => void this.#learn(),
      patienceMs: pace.patienceMs / 2,
      clock,
      log,
    });
    this.#turnTo('following');
    this.#greet();
  }

  /** Reads the keys anew; a root key that was replaced is had from the leader, which replaced it. */
  async #rekey(): Promise<void> {
    const { barrier, keysLost, log } = this.#options;
    try {
      await barrier.refresh();
    } catch (error) {
      if (!isFailure(error, 'barrier.wrong_key')) throw error;
      const next = await this.#forwarder?.rootKey();
      try {
        await barrier.refresh(next);
        log.info('the root key of the store was replaced: the leader gave the new one');
      } catch (still) {
        if (isFailure(still, 'barrier.wrong_key')) keysLost();
        throw still;
      } finally {
        wipe(next);
      }
    }
  }

  /** Opens everything as the leader, and tells the others. */
  async #takeOver(tenure: Tenure): Promise<void> {
    const { barrier, clock, log, openLeading, id, self, led } = this.#options;
    await barrier.idle();
    barrier.forget();
    await barrier.refresh();
    this.#over.abort();
    this.#over = new AbortController();
    const services = await openLeading(this.#over.signal);
    try {
      const view = barrier.view('');
      const identity = await ensureIdentity(view, clock.now());
      await this.#listen(identity);
      const told = { ...self(), clusterAddress: this.#clusterAddress(), id };
      this.#leader = { ...told, epoch: tenure.epoch, since: tenure.since };
      await announce(view, this.#leader);
      tenure.ended.throwIfAborted();
    } catch (error) {
      await services.close();
      throw error;
    }
    this.#tenure = tenure;
    this.#leading = new Generation(services);
    this.#forwarder?.close();
    this.#forwarder = undefined;
    this.#greetings.clear();
    services.begin();
    this.#turnTo('leading');
    log.info('leading', { epoch: tenure.epoch, id });
    led();
  }

  /** Ends what a leader does, answers what is under way, and gives the lease back. */
  async #giveUp(tenure: Tenure): Promise<void> {
    const { clock, log, leadership, pace } = this.#options;
    this.#turnTo('between');
    this.#stepDown = undefined;
    const leading = this.#leading;
    if (leading !== undefined && tenure.holds()) {
      const late = new Promise<void>((resolve) => clock.after(pace.drainMs, resolve));
      await Promise.race([leading.unused(), late]);
    }
    await leading?.services
      .close()
      .catch((error: unknown) => log.warn('services were not closed', { error }));
    this.#leading = undefined;
    this.#over.abort();
    tenure.end();
    this.#tenure = undefined;
    // Where the database is away, the lease ends by itself.
    await leadership.resign().catch((error: unknown) => log.warn('the lease was not given back', { error }));
    log.info('leading no more', { epoch: tenure.epoch });
  }

  /** Reads who leads, and makes the way there. */
  async #learn(): Promise<void> {
    const { barrier, id, log } = this.#options;
    try {
      const view = barrier.view('');
      const advert = await readAdvert(view);
      const identity = await readIdentity(view);
      if (this.#role === 'leading' || this.#stop.signal.aborted) return;
      if (identity !== undefined) await this.#listen(identity);
      this.#leader = advert;
      const known = this.#forwarder?.leader;
      if (known?.epoch === advert?.epoch && known?.id === advert?.id) return;
      this.#forwarder?.close();
      this.#forwarder =
        advert === undefined || identity === undefined || advert.id === id || advert.clusterAddress === ''
          ? undefined
          : new Forwarder(advert, identity);
      if (advert !== undefined && advert.id !== id)
        log.info('following', { leader: advert.apiAddress || advert.clusterAddress, epoch: advert.epoch });
      this.#waiting.wake();
      this.#greetNow();
    } catch (error) {
      log.warn('who leads could not be read', { error });
    }
  }

  async #listen(identity: ClusterIdentity): Promise<void> {
    const { bind, events } = this.#options;
    if (bind === undefined || this.#listener !== undefined) return;
    this.#listener = await listenForNodes(
      {
        lead: (request) => this.onForwarded(request),
        keep: (writes) => this.keep(writes),
        greeted: (by) => this.greeted(by),
        rootKey: () => (this.leads ? this.#options.barrier.handOver() : undefined),
        events,
      },
      { ...bind, identity },
    );
    this.#options.log.info('listening for the other nodes', { host: bind.host, port: this.#listener.port });
  }

  /** Set by whoever dispatches requests. */
  onForwarded: (request: Request) => Promise<Answer | 'elsewhere'> = async () => 'elsewhere';

  #clusterAddress(): string {
    return this.#listener === undefined ? '' : this.#options.clusterAddress(this.#listener.port);
  }

  #relay(writes: readonly Write[]): Promise<number> | false {
    if (!writes.every(({ key }) => key.startsWith(RELAYED))) return false;
    return this.#forwarder?.commit(writes) ?? Promise.reject(failure('cluster.no_leader'));
  }

  #greet(): void {
    this.#greeting?.();
    this.#greeting = this.#options.clock.after(GREET_MS, () => {
      this.#greetNow();
      if (this.#role === 'following') this.#greet();
    });
  }

  #greetNow(): void {
    const { id, self } = this.#options;
    if (this.#role !== 'following') return;
    // Nobody depends on it: it is told again soon.
    this.#forwarder?.greet({ ...self(), clusterAddress: this.#clusterAddress(), id }).catch(() => {});
  }

  #turnTo(role: Role): void {
    this.#role = role;
    this.#waiting.wake();
  }
}

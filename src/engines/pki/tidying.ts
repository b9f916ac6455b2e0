/**
 * Taking away what nobody needs any more: certificates and revocations that ended, issuers that did, orders and accounts of
 * ACME. Runs beside the requests, one at a time, when somebody asks for it or when `config/auto-tidy` says so.
 */

import { failure, isFailure } from '../../base/errors.ts';
import { type Certificate, readCertificate } from '../../crypto/x509/certificate.ts';
import type { Mount } from '../../plugin/plugin.ts';
import type { Accounts } from './acme/accounts.ts';
import { tidyAccount } from './acme/tidying.ts';
import { groupOf, opened } from './issuers.ts';
import { refreshLists } from './lists.ts';
import { issuerOf } from './revoking.ts';
import type { PkiStore } from './store.ts';
import { isAnything, TIDY_DEFAULTS, type TidyOptions } from './tidyoptions.ts';

export interface TidyCounts {
  readonly certificatesDeleted: number;
  readonly revokedDeleted: number;
  readonly missingIssuers: number;
  readonly accounts: number;
  readonly accountsRevoked: number;
  readonly accountsDeleted: number;
  readonly ordersDeleted: number;
}

export interface TidyStatus extends TidyCounts {
  readonly state: 'Inactive' | 'Running' | 'Finished' | 'Error' | 'Cancelling' | 'Cancelled';
  readonly options: TidyOptions;
  readonly message: string;
  /** Milliseconds since 1970; 0: not yet. */
  readonly started: number;
  readonly finished: number;
}

const IDLE: TidyStatus = {
  state: 'Inactive',
  options: TIDY_DEFAULTS,
  message: '',
  started: 0,
  finished: 0,
  certificatesDeleted: 0,
  revokedDeleted: 0,
  missingIssuers: 0,
  accounts: 0,
  accountsRevoked: 0,
  accountsDeleted: 0,
  ordersDeleted: 0,
};

/** However short an interval is set, tidying must not be all that the server does. */
const SHORTEST_INTERVAL = 60_000;

export class Tidier {
  readonly #mount: Mount;
  readonly #store: PkiStore;
  readonly #accounts: Accounts;
  #status: TidyStatus = IDLE;
  #running: Promise<void> | undefined;
  #ended = new AbortController();

  constructor(mount: Mount, store: PkiStore, accounts: Accounts) {
    this.#mount = mount;
    this.#store = store;
    this.#accounts = accounts;
  }

  get status(): TidyStatus {
    return this.#status;
  }

  /** Begins, unless it runs already. @returns whether it began */
  start(options: TidyOptions): boolean {
    if (this.#running !== undefined) return false;
    this.#ended = new AbortController();
    this.#status = { ...IDLE, options, state: 'Running', started: this.#store.now() };
    this.#running = this.#run(options)
      .then(
        () => this.#end(this.#ended.signal.aborted ? 'Cancelled' : 'Finished'),
        (error: unknown) => {
          this.#mount.log.error('tidying the certificates failed', { error });
          this.#end('Error');
        },
      )
      .finally(() => {
        this.#running = undefined;
      });
    return true;
  }

  /** @returns whether there was anything to cancel */
  cancel(): boolean {
    if (this.#running === undefined) return false;
    this.#ended.abort();
    this.#status = { ...this.#status, state: 'Cancelling' };
    return true;
  }

  /** Ends what runs, and waits for it: nothing may write to a mount that is gone. */
  async close(): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }

  /** Begins what `config/auto-tidy` wants by now. @returns when to look again, milliseconds since 1970; undefined: never */
  async tick(): Promise<number | undefined> {
    const { enabled, interval, ...options } = await this.#store.setting('auto-tidy');
    if (!enabled) return undefined;
    const now = this.#store.now();
    const last = await this.#store.setting('tidied');
    // The first time is counted from when somebody turned it on, not from 1970: nothing is to go at once.
    if (last.at === 0) await this.#store.changeSetting('tidied', () => ({ at: now }));
    const due = (last.at === 0 ? now : last.at) + Math.max(interval, SHORTEST_INTERVAL);
    if (now < due) return due;
    this.start(options);
    return now + Math.max(interval, SHORTEST_INTERVAL);
  }

  async #end(state: TidyStatus['state']): Promise<void> {
    const finished = this.#store.now();
    this.#status = {
      ...this.#status,
      state,
      finished,
      message: state === 'Error' ? this.#status.message : '',
    };
    if (state === 'Finished')
      await this.#store
        .changeSetting('tidied', () => ({ at: finished }))
        .catch((error: unknown) => {
          this.#mount.log.error('when the mount was tidied could not be noted', { error });
        });
  }

  #count(what: keyof TidyCounts, by = 1): void {
    this.#status = { ...this.#status, [what]: this.#status[what] + by };
  }

  async #run(options: TidyOptions): Promise<void> {
    const steps: readonly (readonly [boolean, string, () => Promise<void>])[] = [
      [options.certificates || options.invalid, 'certificates', () => this.#certificates(options)],
      [
        options.revoked || options.associations || options.invalid,
        'revocations',
        () => this.#revocations(options),
      ],
      [options.expiredIssuers, 'issuers', () => this.#issuers(options)],
      [options.acme, 'ACME accounts', () => this.#acme(options)],
    ];
    if (!isAnything(options)) return;
    for (const [wanted, what, step] of steps) {
      if (!wanted || this.#ended.signal.aborted) continue;
      this.#status = { ...this.#status, message: `Tidying ${what}` };
      await step();
    }
  }

  /** The names in a folder, page by page, with a pause between them; ends early where it was cancelled. */
  async *#names(folder: 'cert' | 'revoked' | 'acme/account', options: TidyOptions): AsyncGenerator<string> {
    const page = options.pageSize > 0 ? { limit: options.pageSize } : {};
    let after: string | undefined;
    for (;;) {
      const names = await this.#store.list(folder, after === undefined ? page : { ...page, after });
      for (const name of names) {
        if (this.#ended.signal.aborted) return;
        yield name;
        if (options.pause > 0) await this.#pause(options.pause);
      }
      after = names.at(-1);
      if (options.pageSize <= 0 || names.length < options.pageSize) return;
    }
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#ended;
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const cancel = this.#mount.clock.after(ms, resolve);
      signal.addEventListener('abort', () => {
        cancel();
        resolve();
      });
    });
  }

  async #certificates(options: TidyOptions): Promise<void> {
    const before = this.#store.now() - options.buffer;
    for await (const name of this.#names('cert', options)) {
      const der = await this.#store.certificate(name);
      if (der === undefined) continue;
      const certificate = parsed(der);
      const isOver = certificate === undefined ? options.invalid : certificate.notAfter < before;
      if (!isOver || (certificate !== undefined && !options.certificates)) continue;
      await this.#store.delete('cert', name);
      this.#count('certificatesDeleted');
    }
  }

  async #revocations(options: TidyOptions): Promise<void> {
    const before = this.#store.now() - (options.revokedBuffer ?? options.buffer);
    const issuers = new Set((await this.#store.all('issuer')).map(({ id }) => id));
    let changed = false;
    for await (const name of this.#names('revoked', options)) {
      const found = await this.#store.get('revoked', name);
      if (found === undefined) continue;
      if (options.revoked && found.expires < before) {
        await this.#store.commit([this.#store.gone('revoked', name), this.#store.gone('cert', name)]);
        this.#count('revokedDeleted');
        changed = true;
      } else if (options.associations && !issuers.has(found.issuerId)) {
        this.#count('missingIssuers');
        changed = (await this.#associate(name, found.serial)) || changed;
      }
    }
    // The lists still name what went, or not yet what was found: made anew, they are right.
    if (changed) await refreshLists(this.#store, 'full');
  }

  /** Gives a revocation whose issuer is gone to another one with the same name and key. */
  async #associate(name: string, serial: string): Promise<boolean> {
    const der = await this.#store.certificate(serial);
    const certificate = der && parsed(der);
    const issuer = certificate && (await issuerOf(this.#store, certificate));
    if (issuer === undefined) return false;
    await this.#store.change('revoked', name, (was) => ({
      ...was,
      issuerId: issuer.issuer.id,
      group: groupOf(issuer.certificate),
    }));
    return true;
  }

  /** Keys stay: what they signed may have to be listed yet, and nobody can make them again. */
  async #issuers(options: TidyOptions): Promise<void> {
    const before = this.#store.now() - options.issuerBuffer;
    const over = (await this.#store.all('issuer')).filter(
      (issuer) => opened(issuer).certificate.notAfter < before,
    );
    for (const { id } of over) {
      if (this.#ended.signal.aborted) return;
      await this.#store.delete('issuer', id);
      await this.#store.changeSetting('issuers', (was) =>
        was.default === id ? { ...was, default: '' } : was,
      );
      this.#mount.log.info('an issuer that ended long ago was deleted', { issuer: id });
    }
    if (over.length > 0) await refreshLists(this.#store, 'full');
  }

  async #acme(options: TidyOptions): Promise<void> {
    const now = this.#store.now();
    for await (const id of this.#names('acme/account', options)) {
      const done = await tidyAccount(this.#store, this.#accounts, id, {
        now,
        certificateBuffer: options.buffer,
        accountBuffer: options.acmeAccountBuffer,
      });
      this.#count('accounts');
      this.#count('ordersDeleted', done.orders);
      if (done.account === 'revoked') this.#count('accountsRevoked');
      if (done.account === 'deleted') this.#count('accountsDeleted');
    }
  }
}

function parsed(der: Uint8Array): Certificate | undefined {
  try {
    return readCertificate(der);
  } catch (error) {
    if (isFailure(error, 'pki.malformed')) return undefined;
    throw error;
  }
}

/** @throws Failure pki.request where a time is none that can be meant */
export function checkedTidy(options: TidyOptions): TidyOptions {
  const refused = (reason: string) => failure('pki.request', { reason });
  for (const [name, ms] of [
    ['safety_buffer', options.buffer],
    ['revoked_safety_buffer', options.revokedBuffer ?? options.buffer],
    ['issuer_safety_buffer', options.issuerBuffer],
    ['acme_account_safety_buffer', options.acmeAccountBuffer],
  ] as const)
    if (ms < 1000) throw refused(`${name} must be greater than zero`);
  if (options.pause < 0) throw refused('received invalid, negative pause_duration');
  return options;
}

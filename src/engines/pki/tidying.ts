/** Taking away what nobody needs any more: certificates that ended, and revocations of such. Runs beside the requests, one at a time. */

import { failure } from '../../base/errors.ts';
import type { Mount } from '../../plugin/plugin.ts';
import { readCertificate } from './certificate.ts';
import { refreshLists } from './lists.ts';
import type { PkiStore } from './store.ts';

export interface TidyOptions {
  readonly certificates: boolean;
  readonly revoked: boolean;
  /** How long after its end something stays, in milliseconds: clocks of those who check differ. */
  readonly buffer: number;
}

export interface TidyStatus {
  readonly state: 'Inactive' | 'Running' | 'Finished' | 'Error' | 'Cancelled';
  readonly options: TidyOptions;
  readonly started: number;
  readonly finished: number;
  readonly certificatesDeleted: number;
  readonly revokedDeleted: number;
}

const IDLE: TidyStatus = {
  state: 'Inactive',
  options: { certificates: false, revoked: false, buffer: 0 },
  started: 0,
  finished: 0,
  certificatesDeleted: 0,
  revokedDeleted: 0,
};

export class Tidier {
  readonly #mount: Mount;
  readonly #store: PkiStore;
  #status: TidyStatus = IDLE;
  #running: Promise<void> | undefined;
  #cancelled = false;

  constructor(mount: Mount, store: PkiStore) {
    this.#mount = mount;
    this.#store = store;
  }

  get status(): TidyStatus {
    return this.#status;
  }

  /** Begins, unless it runs already. @returns whether it began @throws Failure pki.request */
  start(options: TidyOptions): boolean {
    if (options.buffer < 1000)
      throw failure('pki.request', { reason: 'safety_buffer must be greater than zero' });
    if (this.#running !== undefined) return false;
    this.#cancelled = false;
    this.#status = { ...IDLE, options, state: 'Running', started: this.#store.now() };
    this.#running = this.#run(options)
      .then(
        () => this.#end(this.#cancelled ? 'Cancelled' : 'Finished'),
        (error: unknown) => {
          this.#mount.log.error('tidying the certificates failed', { error: String(error) });
          this.#end('Error');
        },
      )
      .finally(() => {
        this.#running = undefined;
      });
    return true;
  }

  cancel(): boolean {
    this.#cancelled = true;
    return this.#running !== undefined;
  }

  /** Ends what runs, and waits for it: nothing may write to a mount that is gone. */
  async close(): Promise<void> {
    this.#cancelled = true;
    await this.#running;
  }

  #end(state: TidyStatus['state']): void {
    this.#status = { ...this.#status, state, finished: this.#store.now() };
  }

  async #run({ certificates, revoked, buffer }: TidyOptions): Promise<void> {
    const before = this.#store.now() - buffer;
    if (certificates) {
      for (const name of await this.#store.list('cert')) {
        if (this.#cancelled) return;
        const der = await this.#store.certificate(name.replaceAll('-', ':'));
        if (der === undefined || readCertificate(der).notAfter >= before) continue;
        await this.#store.delete('cert', name);
        this.#status = { ...this.#status, certificatesDeleted: this.#status.certificatesDeleted + 1 };
      }
    }
    if (!revoked) return;
    let gone = 0;
    for (const name of await this.#store.list('revoked')) {
      if (this.#cancelled) break;
      const found = await this.#store.get('revoked', name);
      if (found === undefined || found.expires >= before) continue;
      await this.#store.delete('revoked', name);
      gone++;
      this.#status = { ...this.#status, revokedDeleted: gone };
    }
    // The lists still name what went: made anew, they are shorter.
    if (gone > 0) await refreshLists(this.#store, 'full');
  }
}

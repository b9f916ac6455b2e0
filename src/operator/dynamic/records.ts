/** Records as they are kept: read, stored on the version that was read, and told in the SyncReport of their owner. */

import { asFailure, failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Cache } from '../../kube/cache.ts';
import type { Kube, KubeObject } from '../../kube/kube.ts';
import type { SyncReportLease } from '../api/syncreport.ts';
import type { LeaseRecord, Subject } from './lease.ts';
import type { Facts } from './plan.ts';
import { faceOf, nameOf, ownerKey, recordName, recordOf, secretOf, shownFace } from './record.ts';
import { tellLeases } from './reports.ts';

export interface RecordsOptions {
  readonly kube: Kube;
  /** The records, by their metadata, with the index `owner`. */
  readonly records: Cache;
  readonly log: Log;
  /** The operator's own namespace. */
  readonly namespace: string;
}

/** A record and the Secret that it was read from; undefined for one that is not stored yet. */
export interface Stored {
  readonly record: LeaseRecord;
  readonly secret: KubeObject | undefined;
}

const MANAGER = 'holdfast-operator';
/** Somebody else wrote in between: that often in a row, and something is wrong. */
const TRIES = 5;
const RACED: readonly string[] = ['kube.conflict', 'kube.exists', 'kube.missing'];

export class Records {
  readonly #options: RecordsOptions;

  constructor(options: RecordsOptions) {
    this.#options = options;
  }

  /** The record of a subject, or a new one. @throws Failure operator.lease_unreadable, kube.* */
  async of({ owner, id, key, store, provider }: Subject, signal?: AbortSignal): Promise<Stored> {
    const name = recordName({ owner, id });
    const secret = await this.#read(name, signal);
    const record = secret === undefined ? { owner, id, key, store, provider, former: [] } : recordOf(secret);
    if (record === undefined)
      throw failure('operator.lease_unreadable', { name, namespace: this.#options.namespace });
    return { record, secret };
  }

  /** The record of a name; undefined where there is none, or none of this release's. @throws Failure kube.* */
  async named(
    name: string,
    signal: AbortSignal,
  ): Promise<(Stored & { readonly secret: KubeObject }) | undefined> {
    const secret = await this.#read(name, signal);
    const record = secret === undefined ? undefined : recordOf(secret);
    return secret === undefined || record === undefined ? undefined : { record, secret };
  }

  #read(name: string, signal: AbortSignal | undefined): Promise<KubeObject | undefined> {
    return this.#options.kube.get(nameOf(this.#options.namespace, name), signal);
  }

  /** Changes a record as it stands, again where somebody else did in between. @throws Failure kube.* */
  async change(before: Stored, edit: (record: LeaseRecord) => LeaseRecord): Promise<Stored> {
    let stored = before;
    for (let tries = 1; ; tries++) {
      try {
        return await this.save(stored, edit(stored.record));
      } catch (error) {
        if (tries >= TRIES || !RACED.includes(asFailure(error).code)) throw error;
        stored = await this.of(stored.record);
      }
    }
  }

  /** Stores a record in the place of what was read. @throws Failure kube.conflict where somebody else did */
  async save(
    before: Stored,
    record: LeaseRecord,
    use: Facts['owner'] = 'uses',
  ): Promise<Stored & { readonly secret: KubeObject }> {
    const { record: old, secret: read } = before;
    if (record === old && read !== undefined) return { record, secret: read };
    const { kube, namespace } = this.#options;
    const name = nameOf(namespace, recordName(record));
    const next = secretOf(record, namespace, read?.metadata.resourceVersion);
    const secret =
      read === undefined
        ? await kube.create(name, next, { manager: MANAGER })
        : await kube.update(name, next, { manager: MANAGER });
    const face = faceOf(record);
    const shown = read === undefined ? undefined : shownFace(read);
    if (JSON.stringify(face) !== JSON.stringify(shown)) await this.#tell(record, use, face);
    return { record, secret };
  }

  /** @throws Failure kube.* */
  async delete(
    { record, secret }: Stored & { readonly secret: KubeObject },
    use: Facts['owner'],
  ): Promise<void> {
    // First, as nobody would do it after a crash.
    await this.#tell(record, use, undefined);
    const { name, uid, resourceVersion } = secret.metadata;
    await this.#options.kube.delete(nameOf(this.#options.namespace, name), {
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    });
  }

  /** The report is for people: where it cannot be written, nothing else waits for it, and the next change tells all again. */
  async #tell(subject: Subject, use: Facts['owner'], face: SyncReportLease | undefined): Promise<void> {
    if (use === 'gone') return;
    const { kube, records, log } = this.#options;
    const { owner } = subject;
    const others = records
      .byIndex('owner', owner.uid)
      .filter(({ metadata }) => metadata.name !== recordName(subject))
      .flatMap((secret) => shownFace(secret) ?? []);
    const leases = [...others, ...(face === undefined ? [] : [face])].sort((a, b) =>
      a.key < b.key ? -1 : 1,
    );
    try {
      await tellLeases(kube, owner, leases);
    } catch (error) {
      log.warn('a SyncReport was not written', { owner: ownerKey(owner), code: asFailure(error).code });
    }
  }
}

/**
 * What stores answer to an ExternalSecret, issued credentials among it. A key is looked for among the stored secrets first,
 * by upstream's rule; only where there is none, and the server says that the key lies under an engine that issues, it is
 * that engine's. The choice is recorded before anything is issued, and never made again: else a stored secret that was lost
 * for a moment would be replaced by a new account, and an account by whatever somebody stores under its name.
 */

import { sha256 } from '../../base/bytes.ts';
import { asFailure, failure } from '../../base/errors.ts';
import type { Cache } from '../../kube/cache.ts';
import type { Kube, KubeObject } from '../../kube/kube.ts';
import { type Envelope, type Issuance, type Parameters, parametersOf } from '../../provider/issuer.ts';
import type { ExternalSecretStatus } from '../api/externalsecret.ts';
import type { AnswerOptions, Connections } from '../connections.ts';
import type { Answer, Need } from '../plan.ts';
import type { Given, LeaseKeeper } from './keeper.ts';
import type { Subject } from './lease.ts';
import { recordName } from './record.ts';
import { chooseEngine, saysEngine } from './reports.ts';

/** Parameters of keys that are written, one to a line: "pki/issue/web?common_name=app.example.com". */
export const ANNOTATION_PARAMETERS = 'holdfast.dev/parameters';

export interface AnswersOptions {
  readonly kube: Kube;
  readonly connections: Connections;
  readonly keeper: LeaseKeeper;
  readonly records: Cache;
  readonly reports: Cache;
  /** The operator's own namespace, where the records lie. */
  readonly namespace: string;
}

/** Who asks. */
export interface Asking {
  readonly object: KubeObject;
  readonly status: ExternalSecretStatus;
}

export class DynamicAnswers {
  readonly #options: AnswersOptions;
  /** Choices of this process, which what is watched may not tell yet: owner -> needs. */
  readonly #chosen = new Map<string, Set<string>>();

  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  /** As `Connections.answer`. Failures are answers. */
  async answer(
    asking: Asking,
    store: KubeObject,
    namespace: string,
    need: Need,
    options: AnswerOptions & { readonly signal: AbortSignal },
  ): Promise<Answer> {
    const { connections } = this.#options;
    if (!('get' in need.ask)) return connections.answer(store, namespace, need, options);
    const { key } = need.ask.get;
    const subject = subjectOf(asking.object, store, need, key);
    const chosen = this.#isEngine(subject);
    let stored: Answer | undefined;
    if (!chosen) {
      stored = await connections.answer(store, namespace, need, options);
      if (!isAbsent(stored)) return stored;
    }
    const parameters = annotated(asking.object, key);
    const asked = { parameters, chosen, signal: options.signal };
    const find = (): Promise<Issuance | undefined> => connections.issuance(store, namespace, key, asked);
    try {
      let first: Issuance | undefined;
      if (stored !== undefined) {
        first = await find();
        // What was synced as it stands was a stored secret, which went.
        if (first === undefined || (!first.sole && wasSynced(asking))) return stored;
        await this.#choose(subject);
      }
      const basis = basisOf(asking.object, store, parameters);
      const given = await this.#options.keeper.give(
        subject,
        basis,
        async () => first ?? find(),
        options.signal,
      );
      return given === undefined
        ? { failed: failure('operator.secret_missing') }
        : shaped(given, need.properties ?? ['']);
    } catch (error) {
      return { failed: asFailure(error) };
    }
  }

  /** The Secret holds what was answered. @throws Failure kube.* */
  async applied({ metadata }: KubeObject, signal: AbortSignal): Promise<void> {
    await this.#options.keeper.applied(metadata.uid ?? '', signal);
  }

  /** Forgets an ExternalSecret that is gone. */
  forget(uid: string): void {
    this.#chosen.delete(uid);
    this.#options.keeper.forget(uid);
  }

  #isEngine(subject: Subject): boolean {
    const { records, reports, namespace } = this.#options;
    const { owner, id } = subject;
    return (
      this.#chosen.get(owner.uid)?.has(id) === true ||
      records.get(namespace, recordName(subject)) !== undefined ||
      saysEngine(reports.get(owner.namespace, owner.name), owner.uid, subject)
    );
  }

  async #choose(subject: Subject): Promise<void> {
    const { owner, id } = subject;
    await chooseEngine(this.#options.kube, owner, subject);
    this.#chosen.set(owner.uid, (this.#chosen.get(owner.uid) ?? new Set()).add(id));
  }
}

/** The store said that there is no such secret, or does not let us in where it would be. */
const isAbsent = (answer: Answer): boolean =>
  'missing' in answer || ('failed' in answer && answer.failed.code === 'provider.denied');

const wasSynced = ({ object, status }: Asking): boolean =>
  status.syncedResourceVersion?.startsWith(`${object.metadata.generation ?? 0}-`) === true;

function subjectOf({ metadata, kind }: KubeObject, store: KubeObject, need: Need, key: string): Subject {
  const { namespace = '', name, uid = '' } = metadata;
  return {
    owner: { kind, namespace, name, uid },
    id: need.id,
    key,
    store: `${store.kind}/${store.metadata.name}`,
    provider: providerOf(store),
  };
}

const blockOf = (store: KubeObject): object =>
  (store['spec'] as { readonly provider?: object } | undefined)?.provider ?? {};

const providerOf = (store: KubeObject): string => Object.keys(blockOf(store))[0] ?? '';

/** What an issued credential depends on: the store's settings, the parameters, and when a new one was asked for by hand. */
function basisOf({ metadata }: KubeObject, store: KubeObject, parameters: Parameters): string {
  const forced = Object.entries(metadata.annotations ?? {})
    .filter(([name]) => name === 'force-sync' || name.endsWith('/force-sync'))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const { namespace = '', name } = store.metadata;
  const text = JSON.stringify([store.kind, namespace, name, blockOf(store), [...parameters], forced]);
  return sha256(text).toString('base64url');
}

/** The parameters that an ExternalSecret's annotation has for a key. */
function annotated({ metadata }: KubeObject, key: string): Parameters {
  const { path } = parametersOf(key);
  const lines = (metadata.annotations?.[ANNOTATION_PARAMETERS] ?? '').split(/\s+/);
  return new Map(
    lines
      .map(parametersOf)
      .filter((line) => line.path === path)
      .flatMap(({ parameters }) => [...parameters]),
  );
}

const ENVELOPE: Readonly<Record<string, (envelope: Envelope) => string>> = {
  lease_id: ({ leaseId }) => leaseId,
  lease_duration: ({ leaseSeconds }) => String(leaseSeconds),
  renewable: ({ renewable }) => String(renewable),
};

/**
 * A credential as an answer. What its envelope says can be asked for as a property where the data has none of that name; it
 * is no part of the whole.
 */
function shaped({ value, envelope }: Given, properties: readonly string[]): Answer {
  const has = (property: string): boolean => 'fields' in value && value.fields.has(property);
  const each = properties.map((property): readonly [string, Answer] => {
    const said = has(property) ? undefined : ENVELOPE[property];
    return said === undefined
      ? [property, { read: { value } }]
      : [property, { read: { value: { bytes: Buffer.from(said(envelope)) } }, exact: true }];
  });
  return { each: new Map(each) };
}

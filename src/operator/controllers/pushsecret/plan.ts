/**
 * What to do about one PushSecret: an ordered list of rules, read from the top. The first that has something to say
 * decides. Nothing here reads, writes or looks at a clock. Writes to stores are asked for and planned again with what became
 * of them: first what is to stand in the stores, then what is no longer wanted there, last what is told.
 */

import { asFailure, type Failure, failure } from '../../../base/errors.ts';
import { matchesSelector } from '../../../kube/selectors.ts';
import type { PushSecretSpec, Synced } from '../../api/pushsecret.ts';
import { because, readyOf, rfc3339, told as telling } from '../../conditions.ts';
import { resourceVersion } from '../../hash.ts';
import type { Action, Steps, StoreName } from '../../plan.ts';
import { type Env, storeId } from '../externalsecret/observed.ts';
import { renderTemplate } from '../externalsecret/rules/template.ts';
import { type Entry, entriesFor } from './entries.ts';
import type { Observed, Outcome, Source, StoreSeen, Write } from './observed.ts';
import { nextPush, shouldPush } from './refresh.ts';
import { event, finalizerSet, noted, told } from './steps.ts';
import { dropped, merged, recorded } from './synced.ts';
import { wrongs } from './validation.ts';

const SYNCED = 'PushSecret synced successfully';
const UNCHANGED = '. Existing secrets in providers unchanged.';
const NO_SOURCE = 'could not get source secret';
const NOT_SET = 'set secret failed';
const NOT_DELETED = 'Failed to Delete Secrets from Provider';
const NOT_CLEANED = 'failed to cleanup provider secrets';
const NO_TEMPLATE = 'could not execute template';
const SOURCE_DELETED = 'source secret deleted; provider secrets cleaned up';

export type Plan =
  /** The generator is to be asked, and the plan to be made with what it gave. */
  | { readonly generate: true }
  /**
   * `before`: what must stand in the cluster before the first of these writes; then plan again with their outcomes.
   * `record`: what the status says was pushed once `before` is done, where that changes it.
   */
  | { readonly before: readonly Action[]; readonly writes: readonly Write[]; readonly record?: Synced }
  | Steps;

interface Case {
  readonly observed: Observed;
  readonly spec: PushSecretSpec;
  readonly now: Date;
  readonly env: Env;
}

/** What should be where, as far as it can be, and what stands in the way of the rest. */
interface Wanted {
  readonly entries: readonly { readonly store: StoreName; readonly entry: Entry }[];
  readonly troubles: readonly string[];
  /** Whether a store is in the way: time may mend that. What the manifests have wrong is heard of when they change. */
  readonly waits: boolean;
}

type Rule = (given: Case) => Plan | undefined;

/** The specification. */
const rules: readonly Rule[] = [
  isWrong,
  isUpToDate,
  asksTheGenerator,
  lostItsSource,
  couldNotReadItsSource,
  hasNoStore,
  belongsToAnotherOperator,
  pushes,
];

/** What to do about a PushSecret as it was observed. */
export function plan(observed: Observed, now: Date, env: Env): Plan {
  const { object, spec } = observed;
  if (object.metadata.deletionTimestamp !== undefined) return isBeingDeleted(observed, now);
  if ('malformed' in spec) return failed(observed, now, spec.malformed);
  for (const rule of rules) {
    const decided = rule({ observed, spec, now, env });
    if (decided !== undefined) return decided;
  }
  return { actions: [] };
}

/** Under deletionPolicy Delete, what was pushed goes first; where it cannot, the PushSecret stays and says why. */
function isBeingDeleted(observed: Observed, now: Date): Plan {
  const { object } = observed;
  const raw = (object['spec'] ?? {}) as { readonly deletionPolicy?: unknown };
  if (raw.deletionPolicy !== 'Delete') return { actions: finalizerSet(object, false) };
  if (finalizerSet(object, false).length === 0) return { actions: [] };
  const { writes, failures, left, notes } = withdrawal(observed, {});
  if (writes.length > 0) return { before: [], writes };
  if (failures.length > 0)
    return failed(observed, now, because(NOT_DELETED, failures.join('; ')), left, true);
  return { actions: [...notes, ...finalizerSet(object, false)] };
}

function isWrong({ observed, spec, now }: Case): Plan | undefined {
  const [reason] = wrongs(spec);
  return reason === undefined ? undefined : failed(observed, now, reason);
}

function isUpToDate({ observed, spec, now }: Case): Plan | undefined {
  if (shouldPush(observed, spec, now)) return undefined;
  const from = Date.parse(observed.status.refreshTime ?? '');
  const at = nextPush(observed, spec, from, now);
  return { actions: preparation(observed, spec), ...(at === undefined ? {} : { requeueAt: at }) };
}

function asksTheGenerator({ observed }: Case): Plan | undefined {
  return 'ungenerated' in observed.sources ? { generate: true } : undefined;
}

/** The Secret is gone, and with it, under deletionPolicy Delete, what was pushed of it. */
function lostItsSource({ observed, spec, now }: Case): Plan | undefined {
  const { sources, status } = observed;
  if (!('missing' in sources) || spec.deletionPolicy !== 'Delete') return undefined;
  const said = readyOf(status.conditions)?.reason === 'SourceDeleted';
  if (Object.keys(status.syncedPushSecrets ?? {}).length === 0) return said ? { actions: [] } : undefined;
  const { writes, failures, left, notes } = withdrawal(observed, {});
  if (writes.length > 0) return { before: preparation(observed, spec), writes };
  if (failures.length > 0)
    return failed(observed, now, because(NOT_CLEANED, failures.join('; ')), left, true);
  const end = { is: 'False', reason: 'SourceDeleted', message: SOURCE_DELETED, synced: {} } as const;
  return { actions: [...notes, ...told(observed, end, now)] };
}

function couldNotReadItsSource({ observed, now }: Case): Plan | undefined {
  const { sources, object } = observed;
  if ('failed' in sources)
    return failed(observed, now, because(NO_SOURCE, telling(sources.failed)), undefined, true);
  if (!('missing' in sources)) return undefined;
  const what = { kind: 'Secret', name: sources.missing, namespace: object.metadata.namespace ?? '' };
  // Nothing to try again: the Secret is watched.
  return failed(observed, now, because(NO_SOURCE, telling(failure('operator.ref_missing', what))));
}

/** Upstream says nothing then. What was pushed before stays: the labels of a store may be gone for a moment. */
function hasNoStore({ observed, spec, now }: Case): Plan | undefined {
  if (observed.chosen.length > 0) return undefined;
  const known = spec.secretStoreRefs.length === 0 ? 'names no store' : 'matches no store by its labels';
  return failed(observed, now, `spec.secretStoreRefs ${known}`);
}

function belongsToAnotherOperator({ observed }: Case): Plan | undefined {
  const { chosen } = observed;
  const foreign = chosen.every(({ sight }) => 'foreign' in sight);
  return foreign ? { actions: [] } : undefined;
}

function pushes(given: Case): Plan {
  const { observed, spec, now, env } = given;
  const { status } = observed;
  const stores = observed.chosen.filter(({ sight, leaving }) => !('foreign' in sight) && !leaving);
  const unmatched = unmatchedDataTo(spec, stores);
  if (unmatched !== undefined) return failed(observed, now, unmatched);

  let wanted: Wanted;
  try {
    const sources = 'secrets' in observed.sources ? observed.sources.secrets : [];
    const templated = sources.map((source) => templatedSource(source, spec, observed, env));
    wanted = wantedOf(spec, stores, templated, env);
  } catch (error) {
    const cause = because(NO_TEMPLATE, telling(asFailure(error)));
    return failed(observed, now, cause);
  }

  const before = status.syncedPushSecrets ?? {};
  const writes = wanted.entries.map(({ store, entry }) => writeOf(store, entry, spec));
  const asked = writes.filter(({ id }) => !observed.outcomes.has(id));
  if (asked.length > 0) {
    // Under Delete the record goes first: who is killed between a push and its record would leave it behind for ever.
    const record = merged(recorded(wanted.entries), before);
    if (observed.prepared) return { before: [], writes: asked };
    if (spec.deletionPolicy !== 'Delete') return { before: preparation(observed, spec), writes: asked };
    return { before: [...preparation(observed, spec), ...noted(observed, record)], writes: asked, record };
  }

  const outcomes = wanted.entries.map((one, at) => ({
    ...one,
    outcome: observed.outcomes.get(writes[at]?.id ?? ''),
  }));
  const refused = outcomes.filter(({ outcome }) => outcome !== undefined && 'failed' in outcome);
  const troubles = [
    ...refused.map(({ store, entry, outcome }) => {
      const cause = outcome !== undefined && 'failed' in outcome ? telling(outcome.failed) : '';
      return `could not write remote ref ${entry.secretKey} to target secretstore ${store.name}: ${cause}`;
    }),
    ...wanted.troubles,
  ];
  // What was refused stands nowhere; what was not answered may.
  const standing = outcomes.filter(({ outcome }) => outcome !== undefined && !isRefusal(outcome));
  const synced = recorded(standing);
  if (troubles.length > 0) {
    const message = because(NOT_SET, troubles.join('; '));
    const waits = outcomes.flatMap(({ outcome }) =>
      outcome !== undefined && 'failed' in outcome ? (outcome.failed.retryAfterMs ?? []) : [],
    );
    return {
      ...failed(observed, now, message, merged(synced, before), refused.length > 0 || wanted.waits),
      ...(waits.length === 0 ? {} : { retryAfterMs: Math.max(...waits) }),
    };
  }
  const wrote = outcomes.some(
    ({ outcome }) => outcome !== undefined && 'done' in outcome && outcome.done === 'written',
  );
  return ends(given, synced, wrote);
}

/** All is where it should be; under deletionPolicy Delete, what is no longer wanted goes, and only now. */
function ends({ observed, spec, now }: Case, synced: Synced, wrote: boolean): Plan {
  const { object } = observed;
  const deletes = spec.deletionPolicy === 'Delete';
  const { writes, failures, left, notes } = deletes ? withdrawal(observed, synced) : NOTHING;
  if (writes.length > 0) return { before: observed.prepared ? [] : preparation(observed, spec), writes };
  if (failures.length > 0)
    return failed(observed, now, because(NOT_DELETED, failures.join('; ')), merged(synced, left), true);
  const message = spec.updatePolicy === 'IfNotExists' ? SYNCED + UNCHANGED : SYNCED;
  const at = nextPush(observed, spec, now.getTime(), now);
  const more = { refreshTime: rfc3339(now), syncedResourceVersion: resourceVersion(object) };
  return {
    actions: [
      ...(observed.prepared ? [] : preparation(observed, spec)),
      ...notes,
      ...told(observed, { is: 'True', reason: 'Synced', message, synced, news: wrote, more }, now),
    ],
    ...(at === undefined ? {} : { requeueAt: at }),
  };
}

interface Withdrawal {
  readonly writes: readonly Write[];
  readonly failures: readonly string[];
  /** What still stands where it could not be taken away. */
  readonly left: Synced;
  readonly notes: readonly Action[];
}
const NOTHING: Withdrawal = { writes: [], failures: [], left: {}, notes: [] };

/** What was pushed and is not in `kept`, to be deleted; or, once that was tried, what became of it. */
function withdrawal({ object, status, former, outcomes }: Observed, kept: Synced): Withdrawal {
  const writes: Write[] = [];
  const failures: string[] = [];
  const notes: Action[] = [];
  const left: Record<string, Record<string, Synced[string][string]>> = {};
  for (const { id, place, data } of dropped(status.syncedPushSecrets ?? {}, kept)) {
    const seen = former.get(id);
    const { remoteKey, property } = data.match.remoteRef;
    const cause = seen === undefined ? noStore(id) : obstacle(seen);
    const write: Write | undefined = seen && {
      id: `${id} delete ${JSON.stringify([remoteKey, property])}`,
      store: seen.store,
      target: property === '' ? { key: remoteKey } : { key: remoteKey, property },
      do: 'delete',
    };
    const outcome = cause === undefined ? outcomes.get(write?.id ?? '') : { failed: cause };
    if (outcome === undefined) {
      if (write !== undefined) writes.push(write);
    } else if ('failed' in outcome) {
      failures.push(`${id} ${place}: ${telling(outcome.failed)}`);
      left[id] = { ...left[id], [place]: data };
    } else if (outcome.done === 'foreign') {
      const text = `${place} of ${id} was left alone: this PushSecret did not push what is there`;
      notes.push(event(object, 'Warning', 'NotOwned', text));
    }
  }
  return { writes, failures, left, notes };
}

const noStore = (id: string): Failure => {
  const [kind = '', name = ''] = id.split('/');
  return failure('operator.store_missing', { kind, name, where: '' });
};

/** Where each entry goes; a store that cannot be had does not keep the others from theirs. */
function wantedOf(
  spec: PushSecretSpec,
  stores: readonly StoreSeen[],
  sources: readonly Source[],
  env: Env,
): Wanted {
  const entries: { store: StoreName; entry: Entry }[] = [];
  const troubles: string[] = [];
  let waits = false;
  for (const seen of stores) {
    const cause = obstacle(seen);
    if (cause !== undefined) {
      troubles.push(telling(cause));
      waits = true;
      continue;
    }
    try {
      for (const entry of entriesFor(spec, seen, sources, env.renderKey))
        entries.push({ store: seen.store, entry });
    } catch (error) {
      const known = telling(asFailure(error));
      if (!troubles.includes(known)) troubles.push(known);
    }
  }
  return { entries, troubles, waits };
}

const obstacle = ({ store, sight }: StoreSeen): Failure | undefined => {
  if ('refused' in sight) return sight.refused;
  return 'foreign' in sight ? failure('operator.store_unmanaged', { ...store }) : undefined;
};

function writeOf(store: StoreName, entry: Entry, spec: PushSecretSpec): Write {
  const { target, value, secretKey, metadata, source } = entry;
  return {
    id: `${storeId(store)} put ${JSON.stringify([target.key, target.property ?? ''])}`,
    store,
    target,
    do: 'put',
    value,
    secretKey,
    onlyNew: spec.updatePolicy === 'IfNotExists',
    metadata,
    source: {
      labels: source.labels,
      annotations: source.annotations,
      ...(source.type === undefined ? {} : { type: source.type }),
    },
  };
}

/** The Secret as the template makes it, in memory alone: its own keys stay, what is rendered lies over them. */
function templatedSource(source: Source, { template }: PushSecretSpec, observed: Observed, env: Env): Source {
  if (template === undefined) return source;
  const isTemplated = template.data !== undefined || template.templateFrom !== undefined;
  const rendered = renderTemplate(template, source.data, observed.templates, env);
  return {
    ...source,
    ...(template.type === undefined ? {} : { type: template.type }),
    labels: { ...source.labels, ...rendered.labels },
    annotations: { ...source.annotations, ...rendered.annotations },
    data: isTemplated ? new Map([...source.data, ...rendered.data]) : source.data,
  };
}

/** A dataTo that no store matches would do nothing, and say nothing. */
function unmatchedDataTo(spec: PushSecretSpec, stores: readonly StoreSeen[]): string | undefined {
  for (const [index, { storeRef }] of spec.dataTo.entries()) {
    if (storeRef === undefined || storeRef.name !== undefined) continue;
    const kind = storeRef.kind === '' ? 'SecretStore' : storeRef.kind;
    const found = stores.some(
      ({ store, labels }) => store.kind === kind && matchesSelector(storeRef.labelSelector, labels),
    );
    if (!found) return `dataTo[${index}]: labelSelector does not match any store in secretStoreRefs`;
  }
  return undefined;
}

/** The finalizer that the deletion policy asks for, no more and no less. */
const preparation = ({ object }: Observed, { deletionPolicy }: PushSecretSpec): Action[] =>
  object.metadata.deletionTimestamp === undefined ? finalizerSet(object, deletionPolicy === 'Delete') : [];

/** Whether a store said no, so that nothing of the write stands there. One that did not answer may have done it. */
const isRefusal = (outcome: Outcome): boolean =>
  'failed' in outcome && ['invalid', 'denied', 'unsupported', 'missing'].includes(outcome.failed.kind);

/** Neither refreshTime nor syncedResourceVersion move, so it stays due. @param synced absent: the record stays */
function failed(observed: Observed, now: Date, message: string, synced?: Synced, retry = false): Steps {
  const { status, spec } = observed;
  const kept = synced ?? status.syncedPushSecrets ?? {};
  return {
    actions: [
      ...(observed.prepared || 'malformed' in spec ? [] : preparation(observed, spec)),
      ...told(observed, { is: 'False', reason: 'Errored', message, synced: kept }, now),
    ],
    ...(retry ? { retry } : {}),
  };
}

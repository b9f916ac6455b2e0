/**
 * What to do about one ExternalSecret: an ordered list of rules, read from the top. The first that has something to say
 * decides. Nothing here reads, writes or looks at a clock; `now` is the time at which the reconcile began.
 */

import { asFailure, type Failure, failure } from '../../../base/errors.ts';
import type { KubeObject } from '../../../kube/kube.ts';
import type { ExternalSecretSpec } from '../../api/externalsecret.ts';
import { because, readyOf, rfc3339, told } from '../../conditions.ts';
import { resourceVersion } from '../../hash.ts';
import type { Action, Plan, Steps } from '../../plan.ts';
import { early } from '../../schedule/reads.ts';
import {
  creationPolicy,
  deletionPolicy,
  type Env,
  intervalOf,
  namespaceOf,
  type Observed,
  storeId,
  storesOf,
  targetName,
} from './observed.ts';
import { type Assembled, assemble, makingsOf, needsOf, wrapped } from './rules/data.ts';
import { nextRefresh, shouldRefresh, targetIsValid } from './rules/refresh.ts';
import { wrongs } from './rules/validation.ts';
import {
  controllerOf,
  desiredSecret,
  fieldManager,
  guardChange,
  isExternalSecret,
  sameSecret,
} from './secret.ts';
import { deletion, event, FINALIZER, finalizerRemoved, ready, secretName, withFinalizer } from './steps.ts';

const SYNCED = 'SecretSynced';
const FAILED = 'SecretSyncedError';
const NO_DATA = 'could not get secret data from provider';
const NO_UPDATE = 'could not update secret';
const NO_DELETE = 'could not delete secret';
const NO_ORPHANS = 'could not delete orphaned secrets';
const IMMUTABLE = 'could not update secret, target is immutable';
const NOT_OWNED = 'failed to take ownership of target secret';
const OWNED = 'target is owned by another ExternalSecret';

/** Whatever makes a store usable wakes its users; this is in case that was missed. */
const WOKEN_MS = 5 * 60_000;
/** A store that is to be looked at first. */
const PENDING_MS = 5000;

/** One question about an ExternalSecret, with what the rules before it found out. */
interface Case {
  readonly observed: Observed;
  readonly spec: ExternalSecretSpec;
  readonly now: Date;
  readonly env: Env;
}

type Rule = (given: Case) => Plan | undefined;

/** The specification. */
const rules: readonly Rule[] = [
  belongsToAnotherOperator,
  isWrong,
  isUpToDate,
  hasNoUsableStore,
  asksTheStore,
  couldNotRead,
  asksTheGenerators,
  foundNothing,
  writesNothing,
  mergesIntoNothing,
  isOwnedByAnother,
  writesTheSecret,
];

/** What to do about an ExternalSecret as it was observed. */
export function plan(observed: Observed, now: Date, env: Env): Plan {
  const { object, spec } = observed;
  if (object.metadata.deletionTimestamp !== undefined) return isBeingDeleted(observed);
  if ('malformed' in spec) {
    return terminal(observed, now, NO_DATA, failure('operator.spec_invalid', { reason: spec.malformed }));
  }
  for (const rule of rules) {
    const decided = rule({ observed, spec, now, env });
    if (decided !== undefined) return decided;
  }
  return { actions: [] };
}

/** The steps after a write was refused: nothing is marked as synced, the cause is told, and it is tried again. */
export const refused = (observed: Observed, now: Date, known: string, cause: Failure): Steps => ({
  ...failed(observed, now, known, cause, cause.message),
  retry: true,
});

/**
 * Deletion: the Secret goes with us only under deletionPolicy Delete (an Owner's is collected by Kubernetes). One that
 * another object controls stays, whatever its name.
 */
function isBeingDeleted(observed: Observed): Plan {
  const { object, spec, target } = observed;
  if (!(object.metadata.finalizers ?? []).includes(FINALIZER)) return { actions: [] };
  const ours = target !== undefined && controllerOf(target)?.uid === object.metadata.uid;
  const wanted = !('malformed' in spec) && deletionPolicy(spec) === 'Delete';
  return {
    actions: [
      ...(ours && wanted
        ? deletion(object, target, NO_DELETE, 'secret deleted due to DeletionPolicy=Delete')
        : []),
      finalizerRemoved(object),
    ],
  };
}

/** Two operators in one cluster: a store or generator of another controller class takes its ExternalSecrets along. */
function belongsToAnotherOperator({ observed }: Case): Plan | undefined {
  const seen = [...observed.stores.values(), ...observed.generators.values()];
  const foreign = seen.some((sight) => 'foreign' in sight);
  return foreign ? { actions: [] } : undefined;
}

function isWrong({ observed, spec, now }: Case): Plan | undefined {
  const reasons = wrongs(spec);
  if (reasons.length === 0) return undefined;
  return terminal(observed, now, NO_DATA, failure('operator.spec_invalid', { reason: reasons.join('; ') }));
}

function isUpToDate({ observed, spec, now }: Case): Plan | undefined {
  if (observed.compared === true) return undefined;
  // None writes nothing, so there is no Secret that could be out of date.
  const valid =
    creationPolicy(spec) === 'None' || targetIsValid(observed, spec) || saidMissing(observed, spec);
  if (shouldRefresh(observed, spec, now) || !valid) return undefined;
  return {
    actions: withFinalizer(observed.object),
    ...again(observed, spec, Date.parse(observed.status.refreshTime ?? ''), now),
  };
}

/** Synced, and the answer was that there is to be no Secret: a missing one is then what was asked for. */
function saidMissing({ status, target }: Observed, spec: ExternalSecretSpec): boolean {
  const ready = readyOf(status.conditions);
  if (target !== undefined || ready?.status !== 'True') return false;
  return (
    (ready.reason === 'SecretMissing' && creationPolicy(spec) === 'Merge') ||
    (ready.reason === 'SecretDeleted' && deletionPolicy(spec) === 'Delete') ||
    (ready.reason === SYNCED &&
      deletionPolicy(spec) === 'Retain' &&
      ready.message?.includes('retained') === true)
  );
}

function hasNoUsableStore({ observed, spec, now }: Case): Plan | undefined {
  // One that is named and not read from is in nobody's way: a spec that only generates may name any.
  for (const { store } of needsOf(spec)) {
    const sight = observed.stores.get(storeId(store));
    // It wakes us when it is ready; a word now would be gone in a moment, for every user of every store at once.
    if (sight !== undefined && 'pending' in sight)
      return { actions: [], retry: true, retryAfterMs: PENDING_MS };
    const cause =
      sight === undefined
        ? failure('operator.store_missing', { kind: store.kind, name: store.name, where: '' })
        : 'refused' in sight
          ? sight.refused
          : undefined;
    if (cause !== undefined)
      return {
        ...failed(observed, now, NO_DATA, cause, cause.message),
        retry: true,
        retryAfterMs: WOKEN_MS,
      };
  }
  return undefined;
}

function asksTheStore({ observed, spec }: Case): Plan | undefined {
  const unread = needsOf(spec).filter((need) => !observed.answers.has(need.id));
  return unread.length === 0 ? undefined : { read: unread };
}

function couldNotRead(given: Case): Plan | undefined {
  const result = assembled(given);
  if (!('failed' in result)) return undefined;
  const { observed, now } = given;
  const { entry, cause } = result.failed;
  const text = wrapped(entry, told(cause));
  return {
    ...steps(observed, now, because(NO_DATA, text), wrapped(entry, cause.message)),
    retry: true,
    ...(cause.retryAfterMs === undefined ? {} : { retryAfterMs: cause.retryAfterMs }),
  };
}

/**
 * Last, when all the rest is there and may be written: what a generator makes may be an account, and none is made for
 * a Secret that cannot come to be.
 */
function asksTheGenerators(given: Case): Plan | undefined {
  const { observed, spec } = given;
  const unmade = makingsOf(spec).filter(({ id }) => !observed.answers.has(id));
  if (unmade.length === 0) return undefined;
  return isOwnedByAnother(given) ?? { read: unmade };
}

/** Everything that the spec names is gone, and its deletion policy has let it go. */
function foundNothing(given: Case): Plan | undefined {
  const { observed, spec, now } = given;
  const { data, notes } = found(given);
  if (data.size > 0) return undefined;
  const { object, target } = observed;
  switch (deletionPolicy(spec)) {
    case 'Merge':
      return undefined;
    case 'Retain':
      return done(
        given,
        SYNCED,
        'secret retained due to DeletionPolicy=Retain',
        notes.map((n) => event(object, n)),
      );
    case 'Delete': {
      const why = 'secret deleted due to DeletionPolicy=Delete';
      const ours = target !== undefined && controllerOf(target)?.uid === object.metadata.uid;
      if (target !== undefined && !ours) {
        return terminal(observed, now, NO_DELETE, failure('operator.not_owner'));
      }
      const { recent, limit } = observed.deletions;
      if (ours && recent >= limit) {
        const store = storesOf(spec).map(storeId).join(', ');
        const cause = failure('operator.mass_delete', { limit, store });
        return { ...failed(observed, now, NO_DELETE, cause, cause.message), retry: true };
      }
      return done(given, 'SecretDeleted', why, [
        ...notes.map((note) => event(object, note)),
        ...(ours ? deletion(object, target, NO_DELETE, why) : []),
      ]);
    }
  }
}

function writesNothing(given: Case): Plan | undefined {
  if (creationPolicy(given.spec) !== 'None') return undefined;
  return done(given, SYNCED, 'secret synced', []);
}

function mergesIntoNothing(given: Case): Plan | undefined {
  if (creationPolicy(given.spec) !== 'Merge' || given.observed.target !== undefined) return undefined;
  return done(given, 'SecretMissing', 'secret will not be created due to CreationPolicy=Merge', []);
}

/**
 * An Owner takes a Secret that nobody controls, and no other. Upstream labels the Secret as managed before it looks
 * (and even under None); here a Secret that is refused is not touched.
 */
function isOwnedByAnother({ observed, spec, now }: Case): Plan | undefined {
  const { object, target } = observed;
  const owner = target === undefined ? undefined : controllerOf(target);
  if (creationPolicy(spec) !== 'Owner' || owner === undefined || owner.uid === object.metadata.uid)
    return undefined;
  const cause = failure('operator.owned', {
    name: targetName(object, spec),
    owner: `${owner.kind} "${owner.name}"`,
  });
  // One that was deleted and made again under the same name waits for the collector to take the old Secret.
  const former = isExternalSecret(owner) && owner.name === object.metadata.name;
  const known = isExternalSecret(owner) && !former ? OWNED : NOT_OWNED;
  return { ...failed(observed, now, known, cause, cause.message), ...(former ? { retry: true } : {}) };
}

function writesTheSecret(given: Case): Plan | undefined {
  const { observed, spec, now, env } = given;
  const { object, target, siblings } = observed;
  const { data, notes } = found(given);
  let desired: KubeObject;
  try {
    desired = desiredSecret(observed, spec, data, env);
    guardChange(target, desired);
  } catch (error) {
    const cause = asFailure(error);
    if (cause.code === 'operator.immutable') return terminal(observed, now, IMMUTABLE, cause);
    return { ...failed(observed, now, NO_UPDATE, cause, cause.message), retry: true };
  }
  // The label alone is no proof: tools that copy Secrets copy it. Only what we also control is ours to delete.
  const renamed =
    creationPolicy(spec) === 'Owner'
      ? siblings.filter((sibling) => controllerOf(sibling)?.uid === object.metadata.uid)
      : [];
  return done(
    given,
    SYNCED,
    'secret synced',
    [
      ...notes.map((note) => event(object, note)),
      ...write(object, target, desired),
      ...renamed.flatMap((old) =>
        deletion(object, old, NO_ORPHANS, 'secret deleted because it was orphaned'),
      ),
    ],
    { name: targetName(object, spec) },
  );
}

function write(object: KubeObject, target: KubeObject | undefined, desired: KubeObject): Action[] {
  const common = {
    name: secretName(namespaceOf(object), desired.metadata.name),
    object: desired,
    manager: fieldManager(object.metadata.name),
    failing: NO_UPDATE,
  };
  if (target === undefined) {
    return [
      { do: 'create', ...common },
      event(object, { type: 'Normal', reason: 'Created', message: 'secret created' }),
    ];
  }
  if (sameSecret(target, desired)) return [];
  return [
    { do: 'update', ...common },
    event(object, { type: 'Normal', reason: 'Updated', message: 'secret updated' }),
  ];
}

function assembled({ observed, spec, env }: Case): Assembled {
  return assemble(spec, observed.answers, env);
}

function found(given: Case): Extract<Assembled, { data: unknown }> {
  const result = assembled(given);
  return 'failed' in result ? { data: new Map(), notes: [] } : result;
}

/** The end of a reconcile that did what the spec says: only here is a refresh recorded. */
function done(
  given: Case,
  reason: string,
  message: string,
  actions: readonly Action[],
  binding?: { readonly name: string },
): Plan {
  const { observed, spec, now } = given;
  const { object } = observed;
  return {
    actions: [
      ...withFinalizer(object),
      ...actions,
      ready(observed, 'True', reason, message, now, {
        refreshTime: rfc3339(now),
        syncedResourceVersion: resourceVersion(object),
        ...(binding === undefined ? {} : { binding }),
      }),
    ],
    ...again(observed, spec, now.getTime(), now),
  };
}

function again(
  observed: Observed,
  spec: ExternalSecretSpec,
  from: number,
  now: Date,
): Pick<Steps, 'requeueAt' | 'freshFrom'> {
  const at = nextRefresh(observed, spec, from, now);
  return at === undefined
    ? {}
    : { requeueAt: at, freshFrom: new Date(at.getTime() - early(intervalOf(spec))) };
}

const terminal = (observed: Observed, now: Date, known: string, cause: Failure): Steps =>
  failed(observed, now, known, cause, cause.message);

const failed = (observed: Observed, now: Date, known: string, cause: Failure, text: string): Steps =>
  steps(observed, now, because(known, told(cause)), text);

/** Neither refreshTime nor syncedResourceVersion move, so it stays due; the Secret stays as it is. */
function steps(observed: Observed, now: Date, message: string, warning: string): Steps {
  return {
    actions: [
      ...withFinalizer(observed.object),
      event(observed.object, { type: 'Warning', reason: 'UpdateFailed', message: warning }),
      ready(observed, 'False', FAILED, message, now, {}),
    ],
  };
}

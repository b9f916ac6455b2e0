/** What is wrong with a PushSecret as it is written, in upstream's words. */

import { parseDuration } from '../../../base/duration.ts';
import { asFailure } from '../../../base/errors.ts';
import { type LabelSelector, matchesSelector } from '../../../kube/selectors.ts';
import type { PushSecretSpec } from '../../api/pushsecret.ts';
import { kindOf } from './observed.ts';

/** Everything that is wrong with a spec; empty: nothing. */
export function wrongs(spec: PushSecretSpec): readonly string[] {
  return [...refresh(spec), ...sources(spec), ...stores(spec), ...bulk(spec)];
}

function* refresh({ refreshInterval }: PushSecretSpec): Iterable<string> {
  try {
    parseDuration(refreshInterval);
  } catch {
    yield `spec.refreshInterval ${JSON.stringify(refreshInterval.slice(0, 40))} is not a duration such as 1h30m`;
  }
}

function* sources({ selector }: PushSecretSpec): Iterable<string> {
  const { secret } = selector;
  if (secret === undefined) return;
  if (secret.name === undefined && secret.selector === undefined) yield 'no secret selector provided';
  yield* selectors('spec.selector.secret.selector', secret.selector);
}

function* stores({ secretStoreRefs }: PushSecretSpec): Iterable<string> {
  for (const [index, { name, labelSelector }] of secretStoreRefs.entries()) {
    const at = `spec.secretStoreRefs[${index}]`;
    if (name === undefined && labelSelector === undefined) yield `${at}: refStore Name must be provided`;
    yield* selectors(`${at}.labelSelector`, labelSelector);
  }
}

function* bulk({ dataTo, secretStoreRefs }: PushSecretSpec): Iterable<string> {
  for (const [index, { storeRef, remoteKey, rewrite }] of dataTo.entries()) {
    const at = `dataTo[${index}]`;
    if (storeRef === undefined) yield `${at}: storeRef is required`;
    else if (storeRef.name === undefined && storeRef.labelSelector === undefined) {
      yield `${at}: storeRef must have name or labelSelector`;
    } else if (storeRef.name !== undefined) {
      const named = secretStoreRefs.some(
        (ref) => ref.name === storeRef.name && kindOf(ref) === kindOf(storeRef),
      );
      if (!named) yield `${at}: storeRef ${JSON.stringify(storeRef.name)} not found in secretStoreRefs`;
    }
    if (remoteKey !== '' && rewrite.length > 0) {
      yield `${at}: remoteKey and rewrite are mutually exclusive: rewrite is only supported in per-key mode (without remoteKey)`;
    }
    yield* selectors(`${at}.storeRef.labelSelector`, storeRef?.labelSelector);
  }
}

function* selectors(at: string, selector: LabelSelector | undefined): Iterable<string> {
  try {
    matchesSelector(selector, {});
  } catch (error) {
    yield `could not convert labels: ${at}: ${asFailure(error).message}`;
  }
}

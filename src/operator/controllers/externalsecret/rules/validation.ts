/**
 * What external-secrets' admission webhook refuses, in its words. Ours (`src/operator/admission`) does as well, and nothing
 * needs it: the same rules are told in the condition, so they hold for objects that came in while no webhook was asked.
 */

import { parseDuration } from '../../../../base/duration.ts';
import type { ExternalSecretSpec } from '../../../api/externalsecret.ts';
import { creationPolicy, deletionPolicy, storeOf } from '../observed.ts';

/** Everything that is wrong with a spec, in the order upstream looks. Empty: nothing. */
export function wrongs(spec: ExternalSecretSpec): readonly string[] {
  return [
    ...refresh(spec),
    ...policies(spec),
    ...sources(spec),
    ...duplicates(spec),
    ...stores(spec),
    ...privileged(spec),
    ...templateTargets(spec),
  ];
}

function* refresh(spec: ExternalSecretSpec): Iterable<string> {
  try {
    parseDuration(spec.refreshInterval);
  } catch {
    yield `spec.refreshInterval ${JSON.stringify(spec.refreshInterval.slice(0, 40))} is not a duration such as 1h30m`;
  }
}

function* policies(spec: ExternalSecretSpec): Iterable<string> {
  const creation = creationPolicy(spec);
  const deletion = deletionPolicy(spec);
  // Upstream's webhook forgets Orphan, which its controller then fails on for ever.
  if (deletion === 'Delete' && creation !== 'Owner') {
    yield "deletionPolicy=Delete must not be used when the controller doesn't own the secret. Please set creationPolicy=Owner";
  }
  if (deletion === 'Merge' && creation === 'None') {
    yield 'deletionPolicy=Merge must not be used with creationPolicy=None. There is no Secret to merge with';
  }
  if (spec.target?.manifest !== undefined) {
    yield 'spec.target.manifest is not supported by this build';
  }
}

function* sources(spec: ExternalSecretSpec): Iterable<string> {
  if (spec.data.length === 0 && spec.dataFrom.length === 0) {
    yield 'either data or dataFrom should be specified';
  }
  for (const entry of spec.dataFrom) {
    const generator = entry.sourceRef?.generatorRef !== undefined;
    const set = [entry.extract !== undefined, entry.find !== undefined, generator].filter(Boolean).length;
    if (set > 1) yield 'extract, find, or generatorRef cannot be set at the same time';
    else if (set === 0 && entry.sourceRef === undefined) {
      yield 'either extract, find, or sourceRef must be set to dataFrom';
    } else if (set === 0) yield 'generatorRef or storeRef must be set when using sourceRef in dataFrom';
  }
  for (const [index, entry] of spec.data.entries()) {
    if (entry.sourceRef?.generatorRef !== undefined) {
      yield `spec.data[${index}].sourceRef.generatorRef is not supported, as in upstream: a generator makes several values, so name it in spec.dataFrom and give what is made another name with rewrite`;
    }
  }
}

function* duplicates(spec: ExternalSecretSpec): Iterable<string> {
  if (deletionPolicy(spec) !== 'Retain') return;
  const seen = new Set<string>();
  for (const { secretKey } of spec.data) {
    if (seen.has(secretKey)) yield `duplicate secretKey found: ${secretKey}`;
    seen.add(secretKey);
  }
}

function* stores(spec: ExternalSecretSpec): Iterable<string> {
  const entries = [...spec.data, ...spec.dataFrom];
  if (
    entries.some((entry) => entry.sourceRef?.generatorRef === undefined && storeOf(spec, entry) === undefined)
  ) {
    yield 'no store is named: set spec.secretStoreRef.name, or a sourceRef on the entry';
  }
}

const ACCOUNT = 'kubernetes.io/service-account.name';

/** Two types of Secret make Kubernetes hand out a token: a template must not ask for them. */
function* privileged(spec: ExternalSecretSpec): Iterable<string> {
  const template = spec.target?.template;
  if (template?.type === 'bootstrap.kubernetes.io/token') {
    yield 'template type bootstrap.kubernetes.io/token is not allowed';
  }
  if (template?.type !== 'kubernetes.io/service-account-token') return;
  const annotated = template.metadata?.annotations[ACCOUNT] !== undefined;
  const templated =
    template.templateFrom?.some((from) => from.target.toLowerCase() === 'annotations') ?? false;
  if (annotated || templated) {
    yield `template type kubernetes.io/service-account-token with annotation ${ACCOUNT} is not allowed`;
  }
}

function* templateTargets(spec: ExternalSecretSpec): Iterable<string> {
  for (const [index, from] of (spec.target?.template?.templateFrom ?? []).entries()) {
    if (!['', 'data', 'annotations', 'labels'].includes(from.target.toLowerCase())) {
      yield `spec.target.template.templateFrom[${index}].target must be Data, Annotations or Labels for a Secret`;
    }
  }
}

/**
 * Numbers about single objects, in the names of external-secrets: how each stands, how often it was reconciled and how long
 * that took. They are made of what is watched when somebody asks, so what is gone has no series, and no more objects are told
 * than the limit says: the rest is counted, so that nobody takes a part for the whole.
 */

import type { Gauge, Labels, Sample } from '../../base/exposition.ts';
import type { KubeObject } from '../../kube/kube.ts';
import type { Condition } from '../api/externalsecret.ts';

/** What was counted of one object. */
export interface Tally {
  calls: number;
  errors: number;
  /** Of the last reconcile. */
  milliseconds: number;
}

export interface ObjectOptions {
  /** Objects of a kind beyond this many have no series of their own. */
  readonly most: number;
  /** Also the recommended labels of objects (`--enable-extended-metric-labels`). */
  readonly extended: boolean;
}

/** Kinds, by what their names begin with in metrics. */
const SUBSYSTEMS: Readonly<Record<string, string>> = {
  ExternalSecret: 'externalsecret',
  SecretStore: 'secretstore',
  ClusterSecretStore: 'clustersecretstore',
  PushSecret: 'pushsecret',
  ClusterExternalSecret: 'clusterexternalsecret',
  ClusterPushSecret: 'clusterpushsecret',
};

/** The recommended labels of Kubernetes. */
const EXTENDED = ['name', 'instance', 'version', 'component', 'part-of', 'managed-by'];

/** Upstream's controllers, one for each of these kinds, by their names in metrics. */
export const CONTROLLERS: readonly string[] = Object.values(SUBSYSTEMS);

/** Undefined for a kind that upstream counts nothing of. */
export const subsystemOf = (kind: string): string | undefined => SUBSYSTEMS[kind];

/** What is told of one object: all that is kept of it while a text is made, as there may be ten thousand. */
interface Row {
  readonly labels: Labels;
  readonly conditions: readonly Pick<Condition, 'type' | 'status'>[];
  readonly tally: Tally | undefined;
}

/** @param tally what was counted of an object, undefined where nothing was */
export function objectGauges(
  kind: string,
  objects: Iterable<KubeObject>,
  tally: (object: KubeObject) => Tally | undefined,
  options: ObjectOptions,
): readonly Gauge[] {
  const subsystem = subsystemOf(kind);
  if (subsystem === undefined) return [];
  const told: Row[] = [];
  for (const object of objects) {
    if (told.length >= options.most) break;
    told.push({
      labels: labelsOf(object, options.extended),
      conditions: conditionsOf(object),
      tally: tally(object),
    });
  }
  const each = (value: (counted: Tally) => number): Sample[] =>
    told.flatMap(({ labels, tally: counted }) =>
      counted === undefined ? [] : [{ labels, value: value(counted) }],
    );
  const status: Gauge = {
    name: `${subsystem}_status_condition`,
    help: `The status condition of a specific ${kind}: 1 for what is, 0 for its opposite.`,
    samples: told.flatMap(conditionSamples),
  };
  const duration: Gauge = {
    name: `${subsystem}_reconcile_duration`,
    help: `How long the last reconcile of a specific ${kind} took, in nanoseconds.`,
    samples: each(({ milliseconds }) => Math.round(milliseconds * 1e6)),
  };
  if (kind !== 'ExternalSecret') return [status, duration];
  return [
    status,
    duration,
    {
      name: 'externalsecret_sync_calls_total',
      help: 'How often an ExternalSecret was reconciled.',
      kind: 'counter',
      samples: each(({ calls }) => calls),
    },
    {
      name: 'externalsecret_sync_calls_error',
      help: 'How often the reconcile of an ExternalSecret failed.',
      kind: 'counter',
      samples: each(({ errors }) => errors),
    },
  ];
}

const OPPOSITE: Readonly<Record<string, string>> = { True: 'False', False: 'True' };

function conditionsOf(object: KubeObject): Row['conditions'] {
  const { conditions = [] } = (object['status'] ?? {}) as { conditions?: readonly Condition[] };
  return conditions.map(({ type, status }) => ({ type, status }));
}

function conditionSamples({ conditions, labels }: Row): Sample[] {
  return conditions.flatMap(({ type, status }) => {
    const of = (is: string, value: number): Sample => ({
      labels: { ...labels, condition: type, status: is },
      value,
    });
    const opposite = OPPOSITE[status];
    return opposite === undefined ? [of(status, 1)] : [of(status, 1), of(opposite, 0)];
  });
}

function labelsOf({ metadata }: KubeObject, extended: boolean): Labels {
  const own = { name: metadata.name, namespace: metadata.namespace ?? '' };
  if (!extended) return own;
  const more = EXTENDED.map((name) => [
    `app_kubernetes_io_${name.replaceAll('-', '_')}`,
    metadata.labels?.[`app.kubernetes.io/${name}`] ?? '',
  ]);
  return { ...own, ...(Object.fromEntries(more) as Labels) };
}

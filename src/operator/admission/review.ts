/**
 * What the validating webhook answers to an AdmissionReview: the rules that conditions tell, told at `kubectl apply` already.
 * Pure. Nothing depends on it: an object that came in while nobody was asked is told the same in its condition.
 */

import { z } from 'zod';
import { sameJson } from '../../base/equal.ts';
import { type Failure, failure } from '../../base/errors.ts';
import type { KubeObject } from '../../kube/kube.ts';
import type { ProviderType } from '../../provider/provider.ts';
import { externalSecretSpec } from '../api/externalsecret.ts';
import { pushSecretSpec } from '../api/pushsecret.ts';
import { GROUP } from '../api/resources.ts';
import { cut, told } from '../conditions.ts';
import { issueOf } from '../connections.ts';
import { wrongs as externalSecretWrongs } from '../controllers/externalsecret/rules/validation.ts';
import { wrongs as pushSecretWrongs } from '../controllers/pushsecret/validation.ts';
import { isOurs } from '../controllers/secretstore/sight.ts';
import { storeWarnings, storeWrongs } from '../controllers/secretstore/validation.ts';

/** For whom is judged: what another operator looks after is not ours to refuse. */
export interface Jurisdiction {
  readonly providers: readonly ProviderType[];
  readonly controllerClass: string;
  /** The one namespace that is looked after; absent: all. */
  readonly namespace?: string | undefined;
}

/** An answer of `admission.k8s.io`, as it is sent. */
export interface ReviewAnswer {
  readonly apiVersion: string;
  readonly kind: 'AdmissionReview';
  readonly response: {
    /** Of the request. */
    readonly uid: string;
    readonly allowed: boolean;
    readonly status: { readonly code: number; readonly reason?: string; readonly message?: string };
    readonly warnings?: readonly string[];
  };
}

const kind = z.object({ group: z.string(), version: z.string(), kind: z.string() });
const object = z.looseObject({
  metadata: z.looseObject({ name: z.string().default(''), deletionTimestamp: z.string().optional() }),
});
const review = z.object({
  apiVersion: z.enum(['admission.k8s.io/v1', 'admission.k8s.io/v1beta1']),
  kind: z.literal('AdmissionReview'),
  request: z.object({
    uid: z.string().min(1).max(128),
    kind,
    requestKind: kind.nullish(),
    namespace: z.string().default(''),
    operation: z.string(),
    object: object.nullish(),
    oldObject: object.nullish(),
  }),
});
type Request = z.output<typeof review>['request'];

/**
 * Answers a review.
 * @param text the body of the request, JSON
 * @throws Failure request.invalid where it is no AdmissionReview of a kind that is judged here
 */
export function answerReview(text: string, jurisdiction: Jurisdiction): ReviewAnswer {
  const { apiVersion, request } = read(text);
  const judged = judgedObject(request, jurisdiction);
  const wrong = judged === undefined ? [] : rulesOf(request)(judged, jurisdiction);
  const warnings = judged === undefined ? [] : warningsOf(request, judged);
  return {
    apiVersion,
    kind: 'AdmissionReview',
    response: {
      uid: request.uid,
      allowed: wrong.length === 0,
      status:
        wrong.length === 0
          ? { code: 200 }
          : { code: 403, reason: 'Forbidden', message: cut(wrong.map(told).join('; ')) },
      ...(warnings.length === 0 ? {} : { warnings }),
    },
  };
}

const refused = (reason: string): Failure => failure('request.invalid', { reason });

function read(text: string): z.output<typeof review> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refused('the body is not JSON');
  }
  const parsed = review.safeParse(value);
  if (!parsed.success)
    throw refused(`the body is no AdmissionReview: ${issueOf(parsed.error, 'AdmissionReview')}`);
  return parsed.data;
}

/** The object whose spec is to be judged; undefined where whatever stands in it is let in. */
function judgedObject(
  request: Request,
  { controllerClass, namespace }: Jurisdiction,
): KubeObject | undefined {
  rulesOf(request);
  const { operation, object: now, oldObject: before } = request;
  if (operation !== 'CREATE' && operation !== 'UPDATE') return undefined;
  if (now === null || now === undefined) throw refused(`the review of ${operation} holds no object`);
  if (namespace !== undefined && request.namespace !== '' && request.namespace !== namespace)
    return undefined;
  // Else a finalizer could not be taken away from an object that became wrong, and it would never go.
  if (now.metadata.deletionTimestamp !== undefined) return undefined;
  // What stands already is told in the condition; labels, and our own finalizers, are not to wait for its mending.
  if (operation === 'UPDATE' && before && sameJson(before['spec'], now['spec'])) return undefined;
  const spec = now['spec'] as { readonly controller?: unknown } | null | undefined;
  if (STORES.has(request.kind.kind) && !isOurs(spec?.controller, controllerClass)) return undefined;
  return now as unknown as KubeObject;
}

type Rules = (object: KubeObject, jurisdiction: Jurisdiction) => readonly Failure[];

const STORES: ReadonlySet<string> = new Set(['SecretStore', 'ClusterSecretStore']);

const storeRules: Rules = (store, { providers }) => storeWrongs(store, providers);

/** One failure that tells all that is wrong, as conditions have it. */
const specRules =
  <T>(schema: z.ZodType<T>, wrongs: (spec: T) => readonly string[]): Rules =>
  ({ spec }) => {
    const parsed = schema.safeParse(spec);
    const reasons = parsed.success ? wrongs(parsed.data) : [issueOf(parsed.error, 'spec')];
    return reasons.length === 0 ? [] : [failure('operator.spec_invalid', { reason: reasons.join('; ') })];
  };

const RULES: ReadonlyMap<string, Rules> = new Map([
  ['ExternalSecret', specRules(externalSecretSpec, externalSecretWrongs)],
  ['PushSecret', specRules(pushSecretSpec, pushSecretWrongs)],
  ['SecretStore', storeRules],
  ['ClusterSecretStore', storeRules],
]);

/** The kinds that are judged. */
export const JUDGED_KINDS: readonly string[] = [...RULES.keys()];

/** @throws Failure request.invalid for a kind that is not judged here */
function rulesOf({ kind }: Request): Rules {
  const rules = kind.group === GROUP ? RULES.get(kind.kind) : undefined;
  if (rules === undefined)
    throw refused(
      `objects of the kind "${cut(kind.kind, 80)}" of "${cut(kind.group, 80)}" are not judged here`,
    );
  return rules;
}

const DEPRECATED = 'v1beta1';

function warningsOf({ kind, requestKind }: Request, judged: KubeObject): readonly string[] {
  // The API server hands over the version that is stored, and says here in which one the object was sent.
  const sent = requestKind ?? kind;
  const deprecated =
    sent.version === DEPRECATED
      ? [`${GROUP}/${DEPRECATED} ${sent.kind} is deprecated; use ${GROUP}/v1 ${sent.kind}`]
      : [];
  return [...deprecated, ...(STORES.has(kind.kind) ? storeWarnings(judged) : [])];
}

/** Reviews: questions that are asked by creating an object, answered in its status and never stored. */

import type { Clock } from '../base/clock.ts';
import {
  asFields,
  asText,
  at,
  clone,
  fields,
  isFields,
  type Obj,
  texts,
  timestamp,
  type Value,
} from './objects.ts';
import { decide, rulesFor, type User } from './rbac.ts';
import { badRequest, invalid, notFound, required } from './status.ts';
import type { ObjectStore } from './store.ts';
import { type Bound, ISSUER, SHORTEST_SECONDS, type Tokens, userInfo } from './tokens.ts';

export interface Review {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  answer(context: Context): Promise<Obj>;
}

export interface Context {
  readonly store: ObjectStore;
  readonly tokens: Tokens;
  readonly caller: User;
  readonly namespace: string;
  readonly review: Obj;
}

const AUTHENTICATION = 'authentication.k8s.io';
const AUTHORIZATION = 'authorization.k8s.io';
const asked = (review: Obj): Obj => asFields(review['spec']);
const answered = (review: Obj, status: Obj): Obj => {
  const answer = clone(review);
  answer['metadata'] = fields({ ...asFields(answer['metadata']) });
  answer['status'] = status;
  return answer;
};

function access(store: ObjectStore, user: User, spec: Obj, namespace?: string): Obj {
  const resource = spec['resourceAttributes'];
  const path = spec['nonResourceAttributes'];
  if (!isFields(resource) && !isFields(path)) {
    throw badRequest('exactly one of nonResourceAttributes or resourceAttributes must be specified');
  }
  const text = (source: Value | undefined, name: string): string => asText(at(source, name)) ?? '';
  const base = text(resource, 'resource');
  const below = text(resource, 'subresource');
  const decision = decide(store, user, {
    verb: text(isFields(resource) ? resource : path, 'verb'),
    group: text(resource, 'group'),
    resource: below === '' ? base : `${base}/${below}`,
    namespace: namespace ?? text(resource, 'namespace'),
    name: text(resource, 'name'),
    ...(isFields(path) ? { path: text(path, 'path') } : {}),
  });
  return fields({ allowed: decision.allowed, reason: decision.reason === '' ? undefined : decision.reason });
}

function subject(spec: Obj): User {
  const name = asText(spec['user']) ?? '';
  return {
    name,
    uid: asText(spec['uid']) ?? '',
    groups: [...texts(spec['groups']), ...texts(spec['group'])],
    extra: {},
  };
}

export const reviews: readonly Review[] = [
  {
    group: AUTHENTICATION,
    plural: 'tokenreviews',
    kind: 'TokenReview',
    namespaced: false,
    async answer({ tokens, review }) {
      const token = asText(asked(review)['token']) ?? '';
      if (token === '') throw badRequest('token is required for TokenReview in authentication');
      const audiences = texts(asked(review)['audiences']);
      const found = await tokens.authenticate(token, audiences.length === 0 ? [ISSUER] : audiences);
      const answer = answered(
        review,
        typeof found === 'string'
          ? fields({ user: fields({}), error: `[invalid bearer token, ${found}]` })
          : fields({ authenticated: true, user: userInfo(found.user), audiences: [...found.audiences] }),
      );
      return answer;
    },
  },
  {
    group: AUTHENTICATION,
    plural: 'selfsubjectreviews',
    kind: 'SelfSubjectReview',
    namespaced: false,
    answer: async ({ caller, review }) => answered(review, fields({ userInfo: userInfo(caller) })),
  },
  {
    group: AUTHORIZATION,
    plural: 'selfsubjectaccessreviews',
    kind: 'SelfSubjectAccessReview',
    namespaced: false,
    answer: async ({ store, caller, review }) => answered(review, access(store, caller, asked(review))),
  },
  {
    group: AUTHORIZATION,
    plural: 'subjectaccessreviews',
    kind: 'SubjectAccessReview',
    namespaced: false,
    answer: async ({ store, review }) =>
      answered(review, access(store, subject(asked(review)), asked(review))),
  },
  {
    group: AUTHORIZATION,
    plural: 'localsubjectaccessreviews',
    kind: 'LocalSubjectAccessReview',
    namespaced: true,
    answer: async ({ store, review, namespace }) =>
      answered(review, access(store, subject(asked(review)), asked(review), namespace)),
  },
  {
    group: AUTHORIZATION,
    plural: 'selfsubjectrulesreviews',
    kind: 'SelfSubjectRulesReview',
    namespaced: false,
    async answer({ store, caller, review }) {
      const namespace = asText(asked(review)['namespace']) ?? '';
      if (namespace === '') throw badRequest('no namespace on request');
      const all = caller.groups.includes('system:masters')
        ? [
            fields({ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }),
            fields({ verbs: ['*'], nonResourceURLs: ['*'] }),
          ]
        : rulesFor(store, caller, namespace).flatMap(({ rules }) => rules);
      const paths = all.filter((rule) => at(rule, 'nonResourceURLs') !== undefined);
      return answered(
        review,
        fields({
          resourceRules: all.filter((rule) => at(rule, 'resources') !== undefined),
          nonResourceRules: paths.map((rule) =>
            fields({ verbs: at(rule, 'verbs'), nonResourceURLs: at(rule, 'nonResourceURLs') }),
          ),
          incomplete: false,
        }),
      );
    },
  },
];

/** Answers a TokenRequest for a service account. @throws Refusal NotFound, Invalid */
export async function requestToken(context: Context, name: string, clock: Clock): Promise<Obj> {
  const { store, tokens, namespace, review } = context;
  const account = store.get({ resource: 'core/serviceaccounts', namespace, name });
  if (account === undefined) throw notFound({ group: '', plural: 'serviceaccounts' }, name);
  const spec = asked(review);
  const audiences = texts(spec['audiences']);
  const wanted = spec['expirationSeconds'];
  const seconds = typeof wanted === 'number' ? wanted : 3600;
  if (seconds < SHORTEST_SECONDS) {
    throw invalid('TokenRequest', { group: AUTHENTICATION, plural: 'tokenrequests' }, '', [
      {
        reason: 'FieldValueInvalid',
        message: 'Invalid value: may not specify a duration less than 10 minutes',
        field: 'spec.expirationSeconds',
      },
    ]);
  }
  const bound = boundTo(context, spec['boundObjectRef']);
  const used = audiences.length === 0 ? [ISSUER] : audiences;
  const { token, expires } = await tokens.issue(account, used, seconds, bound);
  return fields({
    kind: 'TokenRequest',
    apiVersion: `${AUTHENTICATION}/v1`,
    metadata: fields({ name, namespace, creationTimestamp: timestamp(clock.now()) }),
    spec: fields({ audiences: used, expirationSeconds: seconds, boundObjectRef: spec['boundObjectRef'] }),
    status: fields({ token, expirationTimestamp: timestamp(expires * 1000) }),
  });
}

function boundTo({ store, namespace }: Context, ref: Value | undefined): Bound | undefined {
  if (!isFields(ref)) return undefined;
  const kind = asText(ref['kind']) ?? '';
  const name = asText(ref['name']) ?? '';
  const plural = kind === 'Pod' ? 'pods' : kind === 'Secret' ? 'secrets' : undefined;
  if (plural === undefined) {
    throw invalid('TokenRequest', { group: AUTHENTICATION, plural: 'tokenrequests' }, '', [
      required('spec.boundObjectRef.kind', 'Pod or Secret'),
    ]);
  }
  const found = store.get({ resource: `core/${plural}`, namespace, name });
  if (found === undefined) throw notFound({ group: '', plural }, name);
  const uid = asText(at(found, 'metadata', 'uid')) ?? '';
  const given = asText(ref['uid']);
  if (given !== undefined && given !== uid) throw notFound({ group: '', plural }, name);
  return { kind, name, uid };
}

export const reviewOf = (group: string, plural: string): Review | undefined =>
  reviews.find((review) => review.group === group && review.plural === plural);

/**
 * The Kubernetes provider: Secrets of another namespace, or of another cluster, under an identity of the store's own.
 * Where upstream answers "not found" as an error, a Secret that is not there is absent here, so that deletionPolicy works.
 */

import { compareBytes, view } from '../../base/bytes.ts';
import { Failure, failure, isFailure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import { bagOf, listOf } from '../../base/shape.ts';
import type { KubeObject, Resource } from '../../kube/kube.ts';
import { namePattern } from '../../provider/pattern.ts';
import type { Provider, ProviderEnv, ProviderType, Value } from '../../provider/provider.ts';
import { isThere, pushed, pushMetadata, withdrawn } from './push.ts';
import { openSession, type Session } from './session.ts';
import { type KubernetesSpec, kubernetesSpec } from './spec.ts';

const SECRETS: Resource = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', namespaced: true };
const review = (plural: string, kind: string): Resource => ({
  group: 'authorization.k8s.io',
  version: 'v1',
  plural,
  kind,
  namespaced: false,
});
const RULES = review('selfsubjectrulesreviews', 'SelfSubjectRulesReview');
const ACCESS = review('selfsubjectaccessreviews', 'SelfSubjectAccessReview');

const MANAGER = 'holdfast-push';
const PAGE = 200;
/** What a search may look at in all, so that one manifest cannot fill the operator's memory. */
const SEARCH_LIMIT = 10_000;
/** How often a write is tried against others who write the same Secret. */
const TRIES = 5;

export const createKubernetesProvider = (
  monotonic: () => number = () => performance.now(),
): ProviderType<KubernetesSpec> => ({
  name: 'kubernetes',
  spec: kubernetesSpec as ProviderType<KubernetesSpec>['spec'],
  connect: async (spec, env) => connected(spec.remoteNamespace, env, await openSession(spec, env, monotonic)),
});

export const kubernetesProvider: ProviderType<KubernetesSpec> = createKubernetesProvider();

function connected(namespace: string, env: ProviderEnv, session: Session): Provider {
  const { store } = env;
  const nameOf = (key: string, at = namespace) => ({ resource: SECRETS, namespace: at, name: key });

  const read = async (key: string, signal: AbortSignal | undefined): Promise<KubeObject | undefined> => {
    try {
      return await session.use((kube) => kube.get(nameOf(key), signal));
    } catch (error) {
      if (!isFailure(error, 'kube.denied')) throw error;
      const mend = `Let the store's identity "get" secrets in namespace ${namespace} of its cluster.`;
      const path = `secret ${namespace}/${key}`;
      const facts = { store, path, reason: error.message, mend };
      throw new Failure('provider.denied', facts, { cause: error });
    }
  };

  return {
    async get({ key }, options = {}) {
      const secret = await read(key, options.signal);
      return secret === undefined ? undefined : { value: contentOf(secret) };
    },

    async metadata({ key }, signal) {
      const secret = await read(key, signal);
      if (secret === undefined) return undefined;
      const { annotations, labels } = secret.metadata;
      return { annotations: annotations ?? null, labels: labels ?? null };
    },

    async validate() {
      if (await maySee(namespace, session)) return 'ready';
      throw failure('provider.spec', { store, reason: 'client is not allowed to get secrets' });
    },

    async close() {
      session.close();
    },

    async *find(query, signal) {
      if (query.name === undefined && query.tags === undefined)
        throw failure('provider.spec', { store, reason: 'find needs name or tags' });
      // Upstream looks at the tags alone where both are given; both narrow the search here.
      const matches = namePattern(query.name, store);
      const labelSelector = selectorOf(query.tags ?? {}, store);
      let seen = 0;
      for (let after: string | undefined; ; ) {
        const page = await session.use((kube) =>
          kube.list(
            {
              resource: SECRETS,
              namespace,
              limit: PAGE,
              ...(labelSelector === '' ? {} : { labelSelector }),
              ...(after === undefined ? {} : { continue: after }),
            },
            signal,
          ),
        );
        seen += page.items.length;
        if (seen > SEARCH_LIMIT)
          throw failure('provider.spec', {
            store,
            reason: `find looks at more than ${SEARCH_LIMIT} Secrets`,
          });
        for (const secret of page.items) {
          if (matches(secret.metadata.name)) yield [secret.metadata.name, contentOf(secret)] as const;
        }
        after = page.continue;
        if (after === undefined) return;
      }
    },

    async put(target, value, options) {
      const metadata = pushMetadata(options.metadata, store, target.key);
      const elsewhere = metadata.remoteNamespace;
      if (elsewhere !== undefined && elsewhere !== '' && !env.cluster) {
        const reason = 'remoteNamespace override is only supported with ClusterSecretStore';
        throw failure('provider.push', { store, path: target.key, reason });
      }
      const name = nameOf(target.key, elsewhere || namespace);
      return contended(async () => {
        const existing = await session.use((kube) => kube.get(name, options.signal));
        if (options.onlyNew === true && isThere(existing, target)) return 'kept';
        const at = { store, namespace: name.namespace, target };
        const wanted = pushed(existing, at, value, options, metadata);
        if (wanted === undefined) return 'unchanged';
        await session.use((kube) =>
          existing === undefined
            ? kube.create(name, wanted, { manager: MANAGER })
            : kube.update(name, wanted, { manager: MANAGER }),
        );
        return 'written';
      });
    },

    async delete(target, { owner, signal }) {
      const name = nameOf(target.key);
      return contended(async () => {
        const existing = await session.use((kube) => kube.get(name, signal));
        const wanted = withdrawn(existing, target, owner);
        if (wanted === 'absent' || wanted === 'foreign') return wanted;
        if (wanted !== 'whole') {
          await session.use((kube) => kube.update(name, wanted, { manager: MANAGER }));
          return 'deleted';
        }
        const { uid, resourceVersion } = existing?.metadata ?? {};
        const exactly = {
          ...(uid === undefined ? {} : { uid }),
          ...(resourceVersion === undefined ? {} : { resourceVersion }),
        };
        if (await session.use((kube) => kube.delete(name, exactly))) return 'deleted';
        throw failure('kube.conflict', {
          request: `DELETE secrets ${namespace}/${target.key}`,
          reason: 'it changed',
        });
      });
    },
  };
}

/** Looks and writes again where somebody else wrote in between. @throws Failure kube.conflict after some tries */
async function contended<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      const raced = isFailure(error, 'kube.conflict') || isFailure(error, 'kube.exists');
      if (!raced || tries >= TRIES) throw error;
    }
  }
}

/** A Secret as a value: its entries as bytes, and as one JSON object of texts, in the order of their names. */
function contentOf(secret: KubeObject): Value {
  const data = Object.entries((secret['data'] ?? {}) as Readonly<Record<string, string>>)
    .map(([key, text]) => [key, Buffer.from(text, 'base64')] as const)
    .sort(([a], [b]) => compareBytes(a, b));
  const texts = new Map(data.map(([key, bytes]) => [key, view(bytes).toString('utf8')]));
  return { fields: new Map(data), json: stringify(texts), nested: true };
}

/** Whether our identity may get Secrets there: by its rules, else by asking for just that. */
async function maySee(namespace: string, session: Session): Promise<boolean> {
  const asked = async (resource: Resource, spec: object) => {
    const { group, version, kind } = resource;
    const body = { apiVersion: `${group}/${version}`, kind, spec };
    const answer = await session.use((kube) => kube.create({ resource, name: 'self' }, body));
    return bagOf(answer['status']);
  };
  const { resourceRules } = await asked(RULES, { namespace });
  const has = (list: unknown, wanted: string): boolean => {
    const names = listOf(list);
    return names.includes(wanted) || names.includes('*');
  };
  const byRule = listOf(resourceRules)
    .map(bagOf)
    .some(
      ({ apiGroups, resources, verbs }) =>
        has(resources, 'secrets') &&
        has(verbs, 'get') &&
        (listOf(apiGroups).length === 0 || has(apiGroups, '')),
    );
  if (byRule) return true;
  const resourceAttributes = { resource: 'secrets', namespace, verb: 'get' };
  return (await asked(ACCESS, { resourceAttributes }))['allowed'] === true;
}

const LABEL_NAME = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$/;

/** Tags as a selector. Checked, because a comma in one would add a rule of its own. @throws Failure provider.spec */
function selectorOf(tags: Readonly<Record<string, string>>, store: string): string {
  return Object.entries(tags)
    .map(([name, value]) => {
      if (!LABEL_NAME.test(name) || !LABEL_VALUE.test(value))
        throw failure('provider.spec', { store, reason: 'unable to validate selector tags: not a label' });
      return `${name}=${value}`;
    })
    .join(',');
}

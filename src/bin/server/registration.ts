/**
 * `service_registration "kubernetes"`: labels of the server's own pod tell its state, so that a Service can select the node
 * that is open. What is told is public: whether the server is initialized, sealed and active, and its version.
 * Source followed: Vault's page on Kubernetes service registration, for the names of labels and variables.
 */

import { failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { KubeConfig } from '../../kube/client.ts';
import type { Kube, Resource } from '../../kube/kube.ts';
import type { Registration } from '../../server/config/config.ts';

const PODS: Resource = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };
const LOOK_MS = 1000;

export interface Pod {
  readonly namespace: string;
  readonly name: string;
}

interface State {
  readonly initialized: boolean;
  readonly sealed: boolean;
}

/** The pod that is labelled. The environment stands above the file, as in Vault. @throws Failure config.refused */
export function podOf(
  registration: Registration,
  cluster: KubeConfig | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Pod {
  const refused = (reason: string, mend: string) => failure('config.refused', { reason, mend });
  if (cluster === undefined)
    throw refused(
      'service_registration "kubernetes" labels the pod of the server, and this is not one',
      'Remove the stanza, or run it in a pod.',
    );
  const name = env['VAULT_K8S_POD_NAME'] || registration.pod;
  const namespace = env['VAULT_K8S_NAMESPACE'] || registration.namespace || cluster.namespace;
  if (name && namespace) return { name, namespace };
  throw refused(
    'service_registration "kubernetes" does not know the pod that it labels',
    'Set VAULT_K8S_POD_NAME and VAULT_K8S_NAMESPACE from metadata.name and metadata.namespace of the pod.',
  );
}

function labelsOf({ initialized, sealed }: State, version: string): Readonly<Record<string, string>> {
  return {
    'vault-active': String(!sealed),
    'vault-initialized': String(initialized),
    'vault-perf-standby': 'false',
    'vault-sealed': String(sealed),
    'vault-version': version,
  };
}

/**
 * Keeps the labels at what `state` tells until it is stopped, and then tells that the server is closed. A failure is logged
 * once and tried again: a server goes on serving while the Kubernetes API is away.
 */
export function register(options: {
  readonly kube: Pick<Kube, 'patch'>;
  readonly pod: Pod;
  readonly version: string;
  readonly state: () => Promise<State>;
  readonly log: Log;
  readonly lookMs?: number;
}): { stop(): Promise<void> } {
  const { kube, pod, version, log } = options;
  let told = '';
  let failing = false;
  const tell = async (state: State): Promise<void> => {
    const labels = labelsOf(state, version);
    const wanted = JSON.stringify(labels);
    if (wanted === told) return;
    await kube.patch({ resource: PODS, ...pod }, { metadata: { labels } });
    told = wanted;
    failing = false;
  };
  const attempt = async (closed: boolean): Promise<void> => {
    try {
      const { initialized, sealed } = await options.state();
      await tell({ initialized, sealed: sealed || closed });
    } catch (error) {
      if (!failing) log.warn('the labels of the pod were not set', { ...pod, error });
      failing = true;
    }
  };
  let stopped = false;
  let turn: Promise<void> = Promise.resolve();
  const look = (): void => {
    turn = turn.then(async () => {
      if (!stopped) await attempt(false);
    });
  };
  look();
  // A look that waits for the API is not queued behind by more of its kind.
  let looking = false;
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    look();
    void turn.finally(() => {
      looking = false;
    });
  }, options.lookMs ?? LOOK_MS);
  timer.unref();
  return {
    async stop() {
      stopped = true;
      clearInterval(timer);
      await turn;
      await attempt(true);
    },
  };
}

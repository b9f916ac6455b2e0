/** The Secret that `seal "kubernetes"` keeps its key in, by the API of the cluster. */

import { readFileSync } from 'node:fs';
import { failure, isFailure } from '../../base/errors.ts';
import { createKube, inClusterConfig, parseKubeconfig } from '../../kube/client.ts';
import type { Resource } from '../../kube/kube.ts';
import type { KubernetesSettings } from '../../server/config/seals/local.ts';
import type { SecretAccess } from '../../server/seal/kubernetes.ts';

type Env = Readonly<Record<string, string | undefined>>;

const SECRETS: Resource = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', namespaced: true };
const TIMEOUT_MS = 3000;

/**
 * @returns the Secret, and the namespace that it is in
 * @throws Failure config.refused where there is no cluster, cli.unreadable, kube.config
 */
export function kubeSecret(
  { namespace: named, name, kubeconfig }: KubernetesSettings,
  env: Env,
): { readonly secret: SecretAccess; readonly namespace: string } {
  const config = kubeconfig === undefined ? inClusterConfig(env, readText) : fromFile(kubeconfig);
  if (config === undefined)
    throw failure('config.refused', {
      reason: 'seal "kubernetes" has no cluster: this server runs in none',
      mend: 'Name a kubeconfig in the stanza, or use another seal.',
    });
  const namespace = named ?? config.namespace ?? 'default';
  const kube = createKube(config, { timeoutMs: TIMEOUT_MS });
  const at = { resource: SECRETS, namespace, name };
  return {
    namespace,
    secret: {
      async read(signal) {
        const found = await kube.get(at, signal);
        return found && textsOf(found['data']);
      },
      async create(data) {
        const secret = {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { namespace, name, labels: { 'app.kubernetes.io/managed-by': 'holdfast' } },
          type: 'Opaque',
          data,
        };
        try {
          await kube.create(at, secret, { manager: 'holdfast-seal' });
          return true;
        } catch (error) {
          if (isFailure(error, 'kube.exists')) return false;
          throw error;
        }
      },
      close: () => kube.close(),
    },
  };
}

function fromFile(path: string) {
  return parseKubeconfig(readText(path), { readFile: readText });
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw failure('cli.unreadable', { path });
  }
}

function textsOf(data: unknown): Readonly<Record<string, string>> {
  const entries = typeof data === 'object' && data !== null ? Object.entries(data) : [];
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

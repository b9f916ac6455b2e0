/** The cluster that the operator looks after, and how to tell its API from everything else that a store may name. */

import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { dirname, resolve } from 'node:path';
import { failure } from '../../base/errors.ts';
import { inClusterConfig, type KubeConfig, parseKubeconfig } from '../../kube/client.ts';
import type { Judge } from '../../provider/egress.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** @throws Failure kube.config, cli.unreadable; config.refused where there is no cluster */
export function clusterOf(
  given: { readonly kubeconfig: string | undefined; readonly context: string | undefined },
  env: Env,
): KubeConfig {
  const file = given.kubeconfig;
  if (file === undefined) {
    const pod = inClusterConfig(env, (path) => readFileSync(path, 'utf8'));
    if (pod !== undefined) return pod;
    throw failure('config.refused', {
      reason: 'no cluster is named, and this does not run in one',
      mend: 'Name a kubeconfig with -kubeconfig=FILE; to try things out, run holdfast dev.',
    });
  }
  return parseKubeconfig(textOf(file), {
    ...(given.context === undefined ? {} : { context: given.context }),
    readFile: (path) => readFileSync(resolve(dirname(file), path), 'utf8'),
  });
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw failure('cli.unreadable', { path: file });
  }
}

/**
 * Whether an address is that of the cluster's API: by the name it is configured under, by what that name led to when the
 * operator began, and by the names and the address that pods know it by.
 */
export async function clusterApi(config: KubeConfig, env: Env): Promise<Judge> {
  const url = new URL(config.server);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
  const found =
    isIP(host) === 0
      ? (await lookup(host, { all: true }).catch(() => [])).map(({ address }) => address)
      : [host];
  const addresses = new Set(found.map((ip) => `${ip} ${port}`));
  const inside = env['KUBERNETES_SERVICE_HOST'];
  for (const inner of ['KUBERNETES_SERVICE_PORT', 'KUBERNETES_SERVICE_PORT_HTTPS'])
    if (inside && env[inner]) addresses.add(`${inside} ${env[inner]}`);
  const names = new Set(['', '.svc', '.svc.cluster.local'].map((tail) => `kubernetes.default${tail}`));
  return (at) =>
    addresses.has(`${at.ip} ${at.port}`) ||
    (at.host.toLowerCase() === host && at.port === port) ||
    names.has(at.host.toLowerCase().replace(/\.$/, ''));
}

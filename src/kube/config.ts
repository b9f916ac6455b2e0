/**
 * Where the Kubernetes API is and who we are to it: from a kubeconfig, or from what a pod finds in its file system.
 * A kubeconfig that would have us run a program is refused: this process holds secrets.
 */

import type { LookupFunction } from 'node:net';
import { parse } from 'yaml';
import { z } from 'zod';
import { fromBase64, textOf } from '../base/bytes.ts';
import { failure } from '../base/errors.ts';

export interface KubeConfig {
  /** "https://10.0.0.1:6443"; a path is kept as a prefix. */
  readonly server: string;
  /** PEM; absent: the system's authorities. */
  readonly ca?: string | undefined;
  readonly skipVerify?: boolean | undefined;
  readonly serverName?: string | undefined;
  /** Finds the addresses of the server in place of the system; where connections to some are not allowed. */
  readonly lookup?: LookupFunction | undefined;
  readonly token?: string | undefined;
  /** Read again as it is rotated by the kubelet. */
  readonly tokenFile?: string | undefined;
  readonly clientCert?: string | undefined;
  readonly clientKey?: string | undefined;
  /** The namespace that unqualified names mean. */
  readonly namespace?: string | undefined;
}

type ReadFile = (path: string) => string;

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The configuration of a pod, or undefined outside one. @throws Failure kube.config where it is there but unreadable */
export function inClusterConfig(
  env: Readonly<Record<string, string | undefined>>,
  readFile: ReadFile,
): KubeConfig | undefined {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'];
  if (host === undefined || host === '' || port === undefined || port === '') return undefined;
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca: readWith(readFile, `${SERVICE_ACCOUNT}/ca.crt`),
    tokenFile: `${SERVICE_ACCOUNT}/token`,
    namespace: readWith(readFile, `${SERVICE_ACCOUNT}/namespace`).trim(),
  };
}

const kubeconfig = z.object({
  'current-context': z.string().optional(),
  clusters: z
    .array(
      z.object({
        name: z.string(),
        cluster: z.object({
          server: z.string(),
          'certificate-authority': z.string().optional(),
          'certificate-authority-data': z.string().optional(),
          'insecure-skip-tls-verify': z.boolean().optional(),
          'tls-server-name': z.string().optional(),
        }),
      }),
    )
    .nullish(),
  contexts: z
    .array(
      z.object({
        name: z.string(),
        context: z.object({
          cluster: z.string(),
          user: z.string().optional(),
          namespace: z.string().optional(),
        }),
      }),
    )
    .nullish(),
  users: z
    .array(
      z.object({
        name: z.string(),
        user: z
          .object({
            token: z.string().optional(),
            tokenFile: z.string().optional(),
            'client-certificate': z.string().optional(),
            'client-certificate-data': z.string().optional(),
            'client-key': z.string().optional(),
            'client-key-data': z.string().optional(),
            username: z.string().optional(),
            exec: z.unknown().optional(),
            'auth-provider': z.unknown().optional(),
          })
          .nullish(),
      }),
    )
    .nullish(),
});

/**
 * Reads a kubeconfig. Files it names are read through `readFile`, relative names as it sees fit.
 * @param context instead of the current one
 * @throws Failure kube.config
 */
export function parseKubeconfig(
  yaml: string,
  options: { readonly context?: string; readonly readFile?: ReadFile } = {},
): KubeConfig {
  let document: unknown;
  try {
    document = parse(yaml);
  } catch {
    throw bad('it is not YAML');
  }
  const read = kubeconfig.safeParse(document);
  if (!read.success)
    throw bad(`${read.error.issues[0]?.path.map(String).join('.') || 'document'} is malformed`);
  const config = read.data;
  const contextName = options.context ?? config['current-context'] ?? '';
  const { context } = pick(config.contexts, contextName, 'context');
  const { cluster } = pick(config.clusters, context.cluster, 'cluster');
  const user = context.user === undefined ? undefined : pick(config.users, context.user, 'user').user;
  if (user?.exec != null || user?.['auth-provider'] != null)
    throw bad(`user ${context.user} runs a program to log in; give a token or a client certificate`);
  if (user?.username !== undefined)
    throw bad(`user ${context.user} has a password, which no API server takes any more`);
  const { readFile } = options;
  const pem = (data: string | undefined, file: string | undefined, what: string): string | undefined => {
    if (data !== undefined && data !== '') {
      const bytes = fromBase64(data.replace(/\s+/g, ''));
      const text = bytes === undefined ? undefined : textOf(bytes);
      if (text === undefined) throw bad(`${what}-data is not base64`);
      return text;
    }
    if (file === undefined || file === '') return undefined;
    if (readFile === undefined) throw bad(`${what} names a file`);
    return readWith(readFile, file);
  };
  return {
    server: cluster.server,
    ca: pem(cluster['certificate-authority-data'], cluster['certificate-authority'], 'certificate-authority'),
    skipVerify: cluster['insecure-skip-tls-verify'],
    serverName: cluster['tls-server-name'],
    token: user?.token,
    tokenFile: user?.token === undefined ? user?.tokenFile : undefined,
    clientCert: pem(user?.['client-certificate-data'], user?.['client-certificate'], 'client-certificate'),
    clientKey: pem(user?.['client-key-data'], user?.['client-key'], 'client-key'),
    namespace: context.namespace,
  };
}

/** Holds a configuration to what is safe to use. @throws Failure kube.config */
export function checkConfig(config: KubeConfig): KubeConfig {
  let url: URL;
  try {
    url = new URL(config.server);
  } catch {
    throw bad('the server is not a URL');
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw bad('the server must begin with https://');
  const credentials = [config.token, config.tokenFile, config.clientKey].some((given) => given !== undefined);
  if (url.protocol === 'http:' && credentials) throw bad('credentials are not sent over plain http');
  if ((config.clientCert === undefined) !== (config.clientKey === undefined))
    throw bad('a client certificate needs its key');
  return config;
}

function pick<T extends { readonly name: string }>(
  list: readonly T[] | null | undefined,
  name: string,
  what: string,
): T {
  const found = list?.find((item) => item.name === name);
  if (found !== undefined) return found;
  throw bad(
    name === '' ? 'no current-context is set' : `there is no ${what} ${JSON.stringify(name.slice(0, 80))}`,
  );
}

function readWith(readFile: ReadFile, path: string): string {
  try {
    return readFile(path);
  } catch {
    throw bad(`the file ${path} cannot be read`);
  }
}

const bad = (reason: string) => failure('kube.config', { reason });

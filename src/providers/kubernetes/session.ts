/**
 * Who a store is to the cluster that it reads: one client at a time, made anew before its token ends. The address is a
 * tenant's, so what is connected to is judged, whatever name led there.
 */

import { isIP } from 'node:net';
import { textOf } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { judgedLookup } from '../../base/judged.ts';
import { createKube, type KubeClient, type KubeConfig, parseKubeconfig } from '../../kube/client.ts';
import { authorityOf } from '../../provider/authority.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import type { KubernetesSpec } from './spec.ts';

/** As upstream asks for. */
const TOKEN_SECONDS = 3600;
/** A token is replaced when so much of its life is over, and not tried again by a refusal before the second. */
const RENEW_AFTER_MS = (TOKEN_SECONDS * 1000 * 2) / 3;
const FRESH_MS = 10_000;

export interface Session {
  /** Runs with a client whose credentials stand; once more with new ones where a token that is not new was refused. */
  use<T>(run: (kube: KubeClient) => Promise<T>): Promise<T>;
  close(): void;
}

interface Held {
  readonly kube: KubeClient;
  readonly since: number;
  /** Whether asking again gives other credentials. */
  readonly renewable: boolean;
}

/**
 * Logs in, so that a store that cannot is told at once.
 * @param monotonic milliseconds. @throws Failure provider.spec, operator.ref_*, dial.refused, kube.config
 */
export async function openSession(
  spec: KubernetesSpec,
  env: ProviderEnv,
  monotonic: () => number,
): Promise<Session> {
  const open = async (): Promise<Held> => ({
    kube: createKube(located(await configOf(spec, env), env), {
      ended: (request, status, ms) => env.called?.(request, status !== undefined && status < 400, ms),
    }),
    since: monotonic(),
    renewable: spec.authRef === undefined && spec.auth?.serviceAccount !== undefined,
  });
  let held = open();
  await held;
  const current = async (oldest: number): Promise<Held> => {
    const known = held;
    const { renewable, since, kube } = await known.catch(() => ({
      renewable: true,
      since: 0,
      kube: undefined,
    }));
    if (held === known && (kube === undefined || (renewable && monotonic() - since > oldest))) {
      held = open();
      // Requests that are under way end on their own sockets.
      held.then(() => kube?.close()).catch(() => {});
    }
    return held;
  };
  return {
    async use(run) {
      const using = await current(RENEW_AFTER_MS);
      try {
        return await run(using.kube);
      } catch (error) {
        const stale = using.renewable && monotonic() - using.since > FRESH_MS;
        if (!stale || !isFailure(error, 'kube.denied')) throw error;
        return run((await current(FRESH_MS)).kube);
      }
    },
    close() {
      held.then(({ kube }) => kube.close()).catch(() => {});
    },
  };
}

async function configOf(spec: KubernetesSpec, env: ProviderEnv): Promise<KubeConfig> {
  if (spec.authRef !== undefined) {
    const text = textOf(await env.secretKey(plain(spec.authRef)));
    // No file is read and no program run for a kubeconfig that a tenant wrote.
    return parseKubeconfig(text ?? '');
  }
  const { url } = spec.server;
  const server = /^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? url : `https://${url}`;
  const ca = await authorityOf(spec.server, env);
  return { server, ca, ...(await credentialsOf(spec, env)) };
}

async function credentialsOf(
  { auth }: KubernetesSpec,
  env: ProviderEnv,
): Promise<Pick<KubeConfig, 'token' | 'clientCert' | 'clientKey'>> {
  if (auth?.token !== undefined) {
    const token = textOf(await env.secretKey(plain(auth.token.bearerToken)))?.trim() ?? '';
    // Not what a header can carry: Node would quote it in its error.
    if (!/^[\x21-\x7e]+$/.test(token))
      throw failure('provider.spec', { store: env.store, reason: 'its bearerToken is not a token' });
    return { token };
  }
  if (auth?.serviceAccount !== undefined) {
    const { name, namespace, audiences } = auth.serviceAccount;
    const token = await env.serviceAccountToken({
      name,
      ...(namespace === undefined ? {} : { namespace }),
      audiences,
      expirationSeconds: TOKEN_SECONDS,
    });
    return { token };
  }
  if (auth?.cert !== undefined) {
    const pem = async (ref: NonNullable<typeof auth.cert>['clientCert']): Promise<string> =>
      textOf(await env.secretKey(plain(ref))) ?? '';
    return { clientCert: await pem(auth.cert.clientCert), clientKey: await pem(auth.cert.clientKey) };
  }
  return {};
}

const plain = ({ name, key, namespace }: NonNullable<KubernetesSpec['authRef']>) => ({
  name,
  key,
  ...(namespace === undefined ? {} : { namespace }),
});

/** The configuration with the server where it is really found, and connections judged. @throws Failure dial.refused, provider.spec */
function located(config: KubeConfig, env: ProviderEnv): KubeConfig {
  if (!URL.canParse(config.server))
    throw failure('provider.spec', { store: env.store, reason: 'server.url is not a URL' });
  const url = new URL(config.server);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port) || (url.protocol === 'http:' ? 80 : 443);
  const target = env.resolve(host, port);
  const may = (ip: string): boolean => env.wayOut.mayReachCluster({ host, port, ip });
  if (isIP(target.host) !== 0 && !may(target.host)) throw failure('dial.refused', { host, port });
  url.hostname = isIP(target.host) === 6 ? `[${target.host}]` : target.host;
  url.port = String(target.port);
  return {
    ...config,
    server: url.href,
    ...(target.ca === undefined ? {} : { ca: target.ca }),
    ...(config.serverName === undefined && isIP(host) === 0 ? { serverName: host } : {}),
    lookup: judgedLookup(may, { host, port }),
  };
}

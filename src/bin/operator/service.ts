/** The operator that stands: a cluster, its settings and what is asked of it over HTTP, wired. */

import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';
import { asFailure, failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { createKube } from '../../kube/client.ts';
import type { Kube } from '../../kube/kube.ts';
import { OperatorMetrics } from '../../operator/observe/metrics.ts';
import { createOperator } from '../../operator/operator.ts';
import type { Operator } from '../../operator/options.ts';
import type { Subscribe } from '../../operator/push.ts';
import { createRendering } from '../../operator/rendering.ts';
import type { Share } from '../../operator/schedule/share.ts';
import { clusterJudge, type EgressRules, type WayOut, webJudge } from '../../provider/egress.ts';
import { allows } from '../../server/config/egress.ts';
import { createDial } from '../../server/http/dial.ts';
import { openTracing } from '../tracing.ts';
import { clusterApi, clusterOf } from './cluster.ts';
import { type Endpoints, type Opened, openEndpoints } from './endpoints.ts';
import { generators } from './generators.ts';
import { hearing } from './hearing.ts';
import type { ControllerOptions, Hearing, HostPort } from './options.ts';
import { providers } from './providers.ts';
import { runOperator } from './replicas.ts';
import { renderingSeed } from './seed.ts';
import { openWebhook } from './webhook.ts';
import { mountedPair, ownPair } from './webhookcerts.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface Controller {
  /** The operator that works; undefined while another replica leads. */
  readonly operator: Operator | undefined;
  /** Where it is asked, by path. */
  readonly addresses: Readonly<Partial<Record<'metrics' | 'live' | 'webhook', HostPort>>>;
  /** Resolves when everything that it watches was listed once. */
  ready(signal?: AbortSignal): Promise<void>;
  /** Resolves when the work has ended. Rejects with what it broke on. */
  readonly ended: Promise<void>;
  /**
   * Ends what was begun, and gives back what it logged in with. False where something was still under way when the time was
   * up: a store that does not answer must not keep a pod from going. Rejects with what the work broke on.
   */
  close(graceMs?: number): Promise<boolean>;
}

/** Less than the 30 seconds that a pod has to end. */
const GRACE_MS = 15_000;

/** Hosts are where the cluster's own names say. */
const asNamed = (host: string, port: number): HostPort => ({ host, port });

/** @throws Failure config.refused, kube.*, cli.unreadable */
export async function startController(
  options: ControllerOptions,
  world: { readonly log: Log; readonly clock: Clock; readonly env: Env },
): Promise<Controller> {
  const { log, clock, env } = world;
  const cluster = clusterOf(options, env);
  const metrics = new OperatorMetrics({
    clock,
    most: options.mostObjects,
    extended: options.extendedLabels,
  });
  const { host } = new URL(cluster.server);
  const kube = createKube(cluster, {
    userAgent: 'holdfast-operator',
    ended: ({ method }, status) =>
      metrics.asked(method, host, status === undefined ? '<error>' : String(status)),
  });
  const stopping = new AbortController();
  const opened: Opened[] = [];
  let isReady = false;
  try {
    const endpoints: Endpoints = {
      metrics: () => metrics.text(),
      waitsFor: () => (isReady ? undefined : 'the Kubernetes API has not listed all that is watched'),
    };
    const addresses: { -readonly [At in keyof Controller['addresses']]: HostPort } = await openAll(
      options,
      endpoints,
      opened,
    );
    const namespace = env['POD_NAMESPACE'] || cluster.namespace || 'default';
    if (options.webhook !== undefined) {
      const webhook = await openWebhook(options.webhook.at, {
        jurisdiction: {
          providers: providers({ env, lendOwnKeys: options.lendOwnKeys }),
          controllerClass: options.controllerClass,
          namespace: options.namespace,
        },
        pair:
          options.webhook.certDir === undefined
            ? ownPair({ kube, namespace, now: () => clock.now(), log })
            : mountedPair(options.webhook.certDir),
        clock,
        log,
        reviews: metrics.reviews,
      });
      opened.push(webhook);
      addresses.webhook = webhook.address;
    }
    const seed = await renderingSeed(kube, namespace, options.shadow);
    const rules: EgressRules = {
      allowed: (at) => allows(options.egress, at),
      isCluster: await clusterApi(cluster, env),
    };
    const { close: endTraces, ...tracing } = await openTracing('holdfast-operator', { env, clock, log });
    const build = (over: Kube, share: Share): Operator =>
      createOperator({
        kube: over,
        share,
        shadow: options.shadow,
        providers: providers({ env, lendOwnKeys: options.lendOwnKeys }),
        generators: generators({ env, lendOwnKeys: options.lendOwnKeys }),
        wayOut: wayOutOf(rules),
        clock,
        log,
        random: Math.random,
        resolve: asNamed,
        envOf: createRendering({ seed }),
        metrics,
        ...tracing,
        storeInterval: options.storeInterval,
        generatorGraceMs: options.generatorGraceMs,
        ownNamespace: namespace,
        controllerClass: options.controllerClass,
        concurrency: options.concurrency,
        ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
        ...(options.hearing === undefined ? {} : { subscribe: hearingOf(options.hearing) }),
      });
    const given = { kube, namespace, podName: env['POD_NAME'], clock, log };
    // One in shadow takes no part: it holds no Lease, and nothing of the work is its.
    const running = runOperator(options.shadow ? 'alone' : options.replicas, build, given, stopping.signal);
    running.ended.catch(() => {});
    const ready = running.ready.then(() => {
      isReady = true;
      log.info('watching', { namespace: options.namespace ?? 'all', class: options.controllerClass });
    });
    ready.catch(() => {});
    return {
      get operator() {
        return running.operator;
      },
      addresses,
      ready: () => ready,
      ended: running.ended,
      async close(graceMs = GRACE_MS) {
        stopping.abort(failure('base.internal'));
        let timer: NodeJS.Timeout | undefined;
        const late = new Promise<false>((resolve) => {
          timer = setTimeout(() => resolve(false), graceMs);
        });
        try {
          return await Promise.race([running.ended.then(() => true), late]);
        } finally {
          clearTimeout(timer);
          await Promise.all(opened.map((one) => one.close()));
          await endTraces();
          kube.close();
        }
      },
    };
  } catch (error) {
    stopping.abort();
    await Promise.all(opened.map((one) => one.close()));
    kube.close();
    throw error;
  }
}

const wayOutOf = (rules: EgressRules): WayOut => ({
  dial: createDial({ target: asNamed, allow: webJudge(rules) }),
  mayReach: webJudge(rules),
  mayReachCluster: clusterJudge(rules),
});

/** One listener where both are asked for at one address. */
async function openAll(
  { metrics, live }: ControllerOptions,
  endpoints: Endpoints,
  opened: Opened[],
): Promise<Controller['addresses']> {
  const open = async (at: HostPort, paths: Parameters<typeof openEndpoints>[1]): Promise<HostPort> => {
    const one = await openEndpoints(at, paths, endpoints);
    opened.push(one);
    return one.address;
  };
  const one = metrics !== undefined && live !== undefined && metrics.port !== 0 && same(metrics, live);
  if (one) {
    const address = await open(metrics, ['/metrics', '/healthz', '/readyz']);
    return { metrics: address, live: address };
  }
  return {
    ...(metrics === undefined ? {} : { metrics: await open(metrics, ['/metrics']) }),
    ...(live === undefined ? {} : { live: await open(live, ['/healthz', '/readyz']) }),
  };
}

const same = (a: HostPort, b: HostPort): boolean => a.host === b.host && a.port === b.port;

function hearingOf(given: Hearing): Subscribe {
  const ca = given.caFile === undefined ? undefined : textOf(given.caFile);
  return hearing({
    isKnown: (server) => given.servers.has(server),
    mount: given.mount,
    role: given.role,
    ca,
    // The kubelet renews it: it is read at each login.
    jwt: async () => {
      try {
        return (await readFile(given.tokenFile, 'utf8')).trim();
      } catch {
        throw failure('cli.unreadable', { path: given.tokenFile });
      }
    },
  });
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw failure('cli.unreadable', { path }, { cause: asFailure(error) });
  }
}

/** The operator as a program by itself, in this process, over a platform without one: as `holdfast controller` wires it. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { stringify } from 'yaml';
import { systemClock } from '../../src/base/clock.ts';
import { furnish } from '../../src/bin/dev/furnish.ts';
import { openHome } from '../../src/bin/dev/home.ts';
import { accountToken, OPERATOR } from '../../src/bin/dev/kubernetes.ts';
import { locateKeys } from '../../src/bin/dev/locate.ts';
import type { HostPort } from '../../src/bin/dev/options.ts';
import { type Platform, startPlatform, urlOf } from '../../src/bin/dev/platform.ts';
import { pinoLog } from '../../src/bin/log.ts';
import { type ControllerFlags, controllerOptions } from '../../src/bin/operator/options.ts';
import { type Controller, startController } from '../../src/bin/operator/service.ts';
import type { KubeObject } from '../../src/kube/kube.ts';
import { accessOf } from '../../src/platform/access.ts';
import type { RealCluster } from '../seeds/scripts/clusters.ts';
import { type FaultyApi, startFaultyApi } from './kubefaults.ts';
import { realApi, realByDefault } from './realapi.ts';

/** A way to the API that is one program's own, so that it alone can be spoiled, and what it alone asks is known. */
export interface OwnWay {
  readonly between: FaultyApi;
  readonly kubeconfig: string;
}

export interface Ground extends Platform {
  /** "http://127.0.0.1:PORT" of the server. */
  readonly address: string;
  readonly folder: string;
  /** The real cluster, where it is one. */
  readonly cluster: RealCluster | undefined;
  /** What stands between programs and the API, and spoils what it is told to. */
  readonly between: FaultyApi;
  /** A kubeconfig of the operator's own account, and a token of it for the server. */
  readonly kubeconfig: string;
  readonly tokenFile: string;
  /** For kubectl, as the administrator. */
  readonly env: Record<string, string>;
  /** Grants what these manifests need, as `holdfast dev` would. */
  grant(objects: readonly KubeObject[]): Promise<void>;
  /** One more way to the API beside `between`; closed with the ground. */
  ownWay(): Promise<OwnWay>;
  /** Runs the program with these flags beside those that any run needs; ended with the ground. */
  run(flags?: ControllerFlags): Promise<Controller>;
  /** All that programs of this ground have logged. */
  logged(): Promise<string>;
  stop(): Promise<void>;
}

const FREE: HostPort = { host: '127.0.0.1', port: 0 };

/** @param real over a kube-apiserver with its etcd instead of the embedded API */
export async function startGround(real = realByDefault): Promise<Ground> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-ground-'));
  const home = await openHome(folder, true);
  const file = join(folder, 'holdfast.log');
  const log = pinoLog(pino.destination({ dest: file, sync: true }), 'debug');
  let vault = FREE;
  const realOne = realApi(() => vault);
  const platform = await startPlatform(
    { address: FREE, kubeAddress: FREE, resolve: new Map(), ...(real ? { startApi: realOne.start } : {}) },
    home,
    log,
  );
  vault = platform.listener.address;
  const grant = (objects: readonly KubeObject[]): Promise<void> =>
    furnish(platform, accessOf(objects, locateKeys), home);
  await grant([]);
  const { kube, api } = platform;
  const write = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const tokenFile = await write('push-token', await accountToken(kube, OPERATOR, 'vault', 3600));
  const ways: FaultyApi[] = [];
  const token = await accountToken(kube, OPERATOR, undefined, 3600);
  const ownWay = async (): Promise<OwnWay> => {
    const between = await startFaultyApi(api);
    ways.push(between);
    const text = stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'test',
          cluster: {
            server: between.url,
            'certificate-authority-data': Buffer.from(api.caPem).toString('base64'),
          },
        },
      ],
      users: [{ name: 'operator', user: { token } }],
      contexts: [
        { name: 'test', context: { cluster: 'test', user: 'operator', namespace: OPERATOR.namespace } },
      ],
      'current-context': 'test',
    });
    return { between, kubeconfig: await write(`operator-${ways.length}.kubeconfig`, text) };
  };
  const { between, kubeconfig } = await ownWay();
  const running: Controller[] = [];
  return {
    ...platform,
    address: urlOf(platform.listener.address),
    folder,
    cluster: real ? realOne.cluster : undefined,
    between,
    kubeconfig,
    tokenFile,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: folder,
      KUBECONFIG: await write('admin.kubeconfig', api.kubeconfig()),
      KUBECACHEDIR: join(folder, 'kube-cache'),
    },
    grant,
    ownWay,
    async run(flags = {}) {
      const given = { kubeconfig, metricsAddr: '127.0.0.1:0', liveAddr: '127.0.0.1:0', ...flags };
      const controller = await startController(controllerOptions(given, {}), {
        log: log.with({ program: 'operator' }),
        clock: systemClock,
        env: {},
      });
      running.push(controller);
      await controller.ready();
      return controller;
    },
    logged: () => readFile(file, 'utf8'),
    async stop() {
      await Promise.all(running.map((controller) => controller.close()));
      await Promise.all(ways.map((way) => way.close()));
      await platform.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

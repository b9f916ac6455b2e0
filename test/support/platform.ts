/** The whole platform in this process, in memory and on free ports, as `holdfast dev` wires it: for tests from the outside. */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Tracer } from '../../src/base/trace/tracer.ts';
import { furnish } from '../../src/bin/dev/furnish.ts';
import { openHome } from '../../src/bin/dev/home.ts';
import { locateKeys } from '../../src/bin/dev/locate.ts';
import { startOperator } from '../../src/bin/dev/operator.ts';
import type { HostPort } from '../../src/bin/dev/options.ts';
import { type Platform, startPlatform, urlOf } from '../../src/bin/dev/platform.ts';
import { pinoLog } from '../../src/bin/log.ts';
import type { KubeObject } from '../../src/kube/kube.ts';
import type { Operator } from '../../src/operator/options.ts';
import { accessOf } from '../../src/platform/access.ts';
import { realApi, realByDefault } from './realapi.ts';

export { eventually } from './eventually.ts';

export interface TestPlatform extends Platform {
  readonly operator: Operator;
  /** "http://127.0.0.1:PORT" of the server. */
  readonly address: string;
  /** A folder of its own, with `kubeconfig` and `kube-cache` for kubectl; removed at the end. */
  readonly folder: string;
  /** For child processes: VAULT_ADDR, VAULT_TOKEN (root), KUBECONFIG, KUBECACHEDIR, HOME in the folder. */
  readonly env: Record<string, string>;
  /** All that was written to the log and to the audit trail so far. */
  logged(): Promise<string>;
  audited(): Promise<string>;
  /** Grants what these manifests need, as `holdfast dev` would before applying them. */
  grant(objects: readonly KubeObject[]): Promise<void>;
  stop(): Promise<void>;
}

const FREE: HostPort = { host: '127.0.0.1', port: 0 };

export async function startTestPlatform(
  options: {
    readonly resolve?: ReadonlyMap<string, HostPort>;
    readonly manifests?: readonly KubeObject[];
    /** Over a kube-apiserver with its etcd instead of the embedded API. */
    readonly real?: boolean;
    readonly tracer?: Tracer;
  } = {},
): Promise<TestPlatform> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-platform-'));
  const home = await openHome(folder, true);
  const log = pinoLog(pino.destination({ dest: join(folder, 'holdfast.log'), sync: true }), 'debug');
  let vault = FREE;
  const platform = await startPlatform(
    {
      address: FREE,
      kubeAddress: FREE,
      resolve: options.resolve ?? new Map(),
      ...(options.tracer === undefined ? {} : { tracer: options.tracer }),
      ...((options.real ?? realByDefault) ? { startApi: realApi(() => vault).start } : {}),
    },
    home,
    log,
  );
  vault = platform.listener.address;
  const grant = (objects: readonly KubeObject[]): Promise<void> =>
    furnish(platform, accessOf(objects, locateKeys), home);
  await grant(options.manifests ?? []);
  const stopping = new AbortController();
  const { operator, ended } = await startOperator(platform, home, log, stopping.signal);
  const kubeconfig = await home.write('kubeconfig', platform.api.kubeconfig());
  const address = urlOf(platform.listener.address);
  const textOf = (name: string): Promise<string> => readFile(join(folder, name), 'utf8');
  return {
    ...platform,
    operator,
    address,
    folder,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: folder,
      VAULT_ADDR: address,
      VAULT_TOKEN: platform.keys.rootToken,
      KUBECONFIG: kubeconfig,
      KUBECACHEDIR: join(folder, 'kube-cache'),
    },
    logged: () => textOf('holdfast.log'),
    audited: () => textOf('audit.log'),
    grant,
    async stop() {
      stopping.abort();
      await ended();
      await platform.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

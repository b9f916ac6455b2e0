/** A kube-apiserver with its etcd where the embedded API would stand: the same platform over the real thing. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiServer, startApiServer } from '../../src/apiserver/server.ts';
import { assets, kubeconfigOf, type RealCluster, startReal } from '../seeds/scripts/clusters.ts';
import { startClusterControllers } from './clustercontrollers.ts';

/** Undefined where it can be started; else the reason why what needs it is skipped. */
export const noRealApi: string | undefined =
  assets === undefined
    ? 'no kube-apiserver and etcd in /usr/local/kubebuilder/bin (KUBEBUILDER_ASSETS names another folder; tools/kube-apiserver.sh builds them)'
    : undefined;

/** Where whoever runs a suite does not say: HOLDFAST_TEST_KUBE=real has any suite of test/compat run over a kube-apiserver. */
export const realByDefault: boolean = process.env['HOLDFAST_TEST_KUBE'] === 'real';

export interface RealApi {
  readonly start: typeof startApiServer;
  /** Once it was started. */
  readonly cluster: RealCluster;
}

/**
 * Starts one cluster when the platform asks for its API, with something that collects garbage behind it. Nothing runs
 * Services there: the one name that manifests use for the server is found by what the platform says of it.
 */
export function realApi(vault: () => { readonly host: string; readonly port: number }): RealApi {
  let cluster: RealCluster | undefined;
  return {
    get cluster() {
      if (cluster === undefined) throw new Error('it was not started');
      return cluster;
    },
    async start(): Promise<ApiServer> {
      const folder = await mkdtemp(join(tmpdir(), 'holdfast-kube-'));
      const real = await startReal('kube', folder);
      cluster = real;
      const controllers = startClusterControllers(real);
      return {
        url: real.url,
        port: real.port,
        caPem: real.ca,
        adminToken: real.adminToken,
        kubeconfig: () => kubeconfigOf([real]),
        resolveService: (host) => (/^vault\.vault(-system)?(\.|$)/.test(host) ? vault() : undefined),
        issue: (subject) => real.issue(subject),
        settled: async () => {},
        async close() {
          await controllers.close();
          await real.stop();
          await rm(folder, { recursive: true, force: true });
        },
      };
    },
  };
}

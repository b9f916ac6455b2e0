/** Server and cluster, brought to where the manifests can be applied. Everything here can be done again on the same data. */

import type { Access } from '../../platform/access.ts';
import type { Home } from './home.ts';
import { accountToken, keepKeysInCluster, prepareAccounts, prepareCluster, REVIEWER } from './kubernetes.ts';
import type { Platform } from './platform.ts';
import { configureVault } from './vault.ts';

export async function furnish(platform: Platform, access: Access, home: Home): Promise<void> {
  const { kube, api, root, keys, listener } = platform;
  await prepareCluster(kube, listener.address);
  await prepareAccounts(kube, access);
  await keepKeysInCluster(kube, keys);
  await configureVault(root, {
    access,
    kubernetes: {
      host: 'https://kubernetes.default.svc:443',
      ca: api.caPem,
      reviewerToken: await accountToken(kube, REVIEWER, undefined, REVIEWER_SECONDS),
    },
    auditFile: home.path('audit.log'),
  });
}

/** A year: made anew at each start, and a demo that runs for a day must not stop letting anybody in. */
const REVIEWER_SECONDS = 31_536_000;

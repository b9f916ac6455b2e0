/**
 * The kinds beside ExternalSecrets over a real kube-apiserver with its etcd: the suites that run over the embedded API. Those that
 * do not get into each other's way share a cluster, for each takes seconds to start.
 */

import { afterAll, beforeAll, describe } from 'vitest';
import { noKubectl } from '../support/kubectl.ts';
import { startTestPlatform, type TestPlatform } from '../support/platform.ts';
import { noRealApi } from '../support/realapi.ts';
import { dynamicSuite } from '../support/suites/dynamic.ts';
import { generatorSuite } from '../support/suites/generators.ts';
import { pushSecretSuite } from '../support/suites/pushsecrets.ts';
import { storeSuite } from '../support/suites/stores.ts';

const skipped = noRealApi ?? noKubectl;
if (skipped !== undefined) console.warn(`SKIPPED test/real/operator-kube-kinds: ${skipped}`);

type Start = () => Promise<TestPlatform>;

/** One platform for all suites of the describe in which it is called. */
function shared(): Start {
  let platform: TestPlatform;
  beforeAll(async () => {
    platform = await startTestPlatform({ real: true });
  });
  afterAll(() => platform?.stop());
  return async () => ({ ...platform, stop: async () => {} });
}

describe.skipIf(skipped !== undefined)('over a kube-apiserver', () => {
  const start = shared();
  describe('what is pushed', () => pushSecretSuite(start));
  describe('generators', () => generatorSuite(start));
});
describe.skipIf(skipped !== undefined)('over another kube-apiserver', () => {
  const start = shared();
  describe('a key of an engine that issues', () => dynamicSuite(start));
  describe('a store that is no server of Vault', () => storeSuite(start));
});

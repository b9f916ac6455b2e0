/** The kinds beside ExternalSecrets over a real kube-apiserver with its etcd: the suites that run over the embedded API. */

import { describe } from 'vitest';
import { noKubectl } from '../support/kubectl.ts';
import { startTestPlatform, type TestPlatform } from '../support/platform.ts';
import { noRealApi } from '../support/realapi.ts';
import { dynamicSuite } from '../support/suites/dynamic.ts';
import { generatorSuite } from '../support/suites/generators.ts';
import { pushSecretSuite } from '../support/suites/pushsecrets.ts';
import { storeSuite } from '../support/suites/stores.ts';

const skipped = noRealApi ?? noKubectl;
if (skipped !== undefined) console.warn(`SKIPPED test/real/operator-kube-kinds: ${skipped}`);

const start = (): Promise<TestPlatform> => startTestPlatform({ real: true });

describe.skipIf(skipped !== undefined)('over a kube-apiserver', () => {
  describe('what is pushed', () => pushSecretSuite(start));
  describe('generators', () => generatorSuite(start));
  describe('a key of an engine that issues', () => dynamicSuite(start));
  describe('a store that is no server of Vault', () => storeSuite(start));
});

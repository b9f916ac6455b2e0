/** Keys of engines that issue, over the embedded Kubernetes API; test/real/operator-kube-kinds.test.ts runs the same over a kube-apiserver. */

import { describe } from 'vitest';
import { noKubectl } from '../support/kubectl.ts';
import { startTestPlatform } from '../support/platform.ts';
import { dynamicSuite } from '../support/suites/dynamic.ts';

if (noKubectl !== undefined) console.warn(`SKIPPED test/compat/dynamic: ${noKubectl}`);

describe.skipIf(noKubectl !== undefined)('a key of an engine that issues', () =>
  dynamicSuite(startTestPlatform),
);

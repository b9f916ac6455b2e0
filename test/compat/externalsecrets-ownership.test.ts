/** Who owns what in a Secret, over the embedded Kubernetes API; test/real/operator-kube.test.ts runs the same over a kube-apiserver. */

import { describe } from 'vitest';
import { noKubectl } from '../support/kubectl.ts';
import { startTestPlatform } from '../support/platform.ts';
import { ownershipSuite } from '../support/suites/ownership.ts';

if (noKubectl !== undefined) console.warn(`SKIPPED test/compat/externalsecrets-ownership: ${noKubectl}`);

describe.skipIf(noKubectl !== undefined)('the Secret of an ExternalSecret', () =>
  ownershipSuite(startTestPlatform),
);

/** ExternalSecrets over the embedded Kubernetes API; test/real/operator-kube.test.ts runs the same over a kube-apiserver. */

import { describe } from 'vitest';
import { noKubectl } from '../support/kubectl.ts';
import { startTestPlatform } from '../support/platform.ts';
import { externalSecretSuite } from '../support/suites/externalsecrets.ts';

if (noKubectl !== undefined) console.warn(`SKIPPED test/compat/externalsecrets: ${noKubectl}`);

describe.skipIf(noKubectl !== undefined)('an ExternalSecret', () => externalSecretSuite(startTestPlatform));

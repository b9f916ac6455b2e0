/** PushSecrets and the cluster's kinds over the embedded Kubernetes API; test/real/operator-kube-kinds.test.ts runs the same over a kube-apiserver. */

import { describe } from 'vitest';
import { noKubectl } from '../support/kubectl.ts';
import { startTestPlatform } from '../support/platform.ts';
import { pushSecretSuite } from '../support/suites/pushsecrets.ts';

if (noKubectl !== undefined) console.warn(`SKIPPED test/compat/pushsecret: ${noKubectl}`);

describe.skipIf(noKubectl !== undefined)('what is pushed', () => pushSecretSuite(startTestPlatform));

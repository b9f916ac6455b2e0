/** Generators over the embedded Kubernetes API; test/real/operator-kube-kinds.test.ts runs the same over a kube-apiserver. */

import { describe } from 'vitest';
import { noKubectl } from '../support/kubectl.ts';
import { startTestPlatform } from '../support/platform.ts';
import { generatorSuite } from '../support/suites/generators.ts';

if (noKubectl !== undefined) console.warn(`SKIPPED test/compat/generators: ${noKubectl}`);

describe.skipIf(noKubectl !== undefined)('generators', () => generatorSuite(startTestPlatform));

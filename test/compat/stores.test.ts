/** Stores that are no server of Vault, over the embedded Kubernetes API; test/real/operator-kube-kinds.test.ts runs the same over a kube-apiserver. */

import { describe } from 'vitest';
import { startTestPlatform } from '../support/platform.ts';
import { storeSuite } from '../support/suites/stores.ts';

describe('a store that is no server of Vault', () => storeSuite(startTestPlatform));

/** The operator beside a sick Kubernetes API; test/real/operator-kube.test.ts runs the same over a kube-apiserver. */

import { describe } from 'vitest';
import { startGround } from '../support/controller.ts';
import { kubeFaultsSuite } from '../support/suites/kubefaults.ts';

describe('the operator beside a Kubernetes API that is not well', () => kubeFaultsSuite(() => startGround()));

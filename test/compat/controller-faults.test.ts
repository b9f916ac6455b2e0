/**
 * The operator beside a sick Kubernetes API, and as several replicas; test/real/operator-kube-faults.test.ts runs the same over a
 * kube-apiserver. Both mostly wait, so they wait at the same time.
 */

import { describe } from 'vitest';
import { startGround } from '../support/controller.ts';
import { kubeFaultsSuite } from '../support/suites/kubefaults.ts';
import { replicaSuite } from '../support/suites/replicas.ts';

describe.concurrent('the operator', { timeout: 120_000 }, () => {
  describe.sequential('beside a Kubernetes API that is not well', () => kubeFaultsSuite(() => startGround()));
});
describe.concurrent('replicas of the operator', { timeout: 120_000 }, () => {
  describe.sequential('over one Kubernetes API', () => replicaSuite(() => startGround()));
});

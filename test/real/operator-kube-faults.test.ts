/**
 * The operator beside a real kube-apiserver that is not well, and as several replicas over its Leases: the suites that run over
 * the embedded API. Both mostly wait, so they wait at the same time, each with a cluster of its own.
 */

import { describe } from 'vitest';
import { startGround } from '../support/controller.ts';
import { noRealApi } from '../support/realapi.ts';
import { kubeFaultsSuite } from '../support/suites/kubefaults.ts';
import { replicaSuite } from '../support/suites/replicas.ts';

if (noRealApi !== undefined) console.warn(`SKIPPED test/real/operator-kube-faults: ${noRealApi}`);

const given = { concurrent: true, skip: noRealApi !== undefined };

describe('the operator', given, () => {
  describe.sequential('beside a kube-apiserver that is not well', () =>
    kubeFaultsSuite(() => startGround(true)));
});
describe('replicas of the operator', given, () => {
  describe.sequential('over a kube-apiserver', () => replicaSuite(() => startGround(true)));
});

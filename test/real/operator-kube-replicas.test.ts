/** Several replicas of the operator over a real kube-apiserver with its etcd: the suite that runs over the embedded API. */

import { describe } from 'vitest';
import { startGround } from '../support/controller.ts';
import { noRealApi } from '../support/realapi.ts';
import { replicaSuite } from '../support/suites/replicas.ts';

if (noRealApi !== undefined) console.warn(`SKIPPED test/real/operator-kube-replicas: ${noRealApi}`);

describe.skipIf(noRealApi !== undefined)('replicas of the operator over a kube-apiserver', () =>
  replicaSuite(() => startGround(true)),
);

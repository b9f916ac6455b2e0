/** Several replicas of the operator over the embedded Kubernetes API; test/real/operator-kube-replicas.test.ts runs the same over a kube-apiserver. */

import { describe } from 'vitest';
import { startGround } from '../support/controller.ts';
import { replicaSuite } from '../support/suites/replicas.ts';

describe('replicas of the operator', () => replicaSuite(() => startGround()));

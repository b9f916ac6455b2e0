/**
 * The seed of what templates draw at random: 32 bytes in a Secret beside the operator, so that the same input gives the same
 * Secret over restarts and from every replica.
 */

import { randomBytes } from 'node:crypto';
import { failure, isFailure } from '../../base/errors.ts';
import type { Kube, KubeObject, Name } from '../../kube/kube.ts';
import { SECRETS } from '../../operator/api/resources.ts';

const NAME = 'holdfast-operator-seed';
const KEY = 'seed';
const BYTES = 32;

/**
 * @param namespace the operator's own
 * @param fleeting where there is none, one is drawn and not kept: in shadow nothing is written
 * @throws Failure kube.*; config.refused where the Secret holds something else
 */
export async function renderingSeed(kube: Kube, namespace: string, fleeting: boolean): Promise<Uint8Array> {
  const name: Name = { resource: SECRETS, namespace, name: NAME };
  const kept = await kube.get(name);
  if (kept !== undefined) return seedOf(kept);
  if (fleeting) return randomBytes(BYTES);
  try {
    return seedOf(
      await kube.create(name, {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: NAME, namespace, labels: { 'app.kubernetes.io/part-of': 'holdfast' } },
        type: 'Opaque',
        data: { [KEY]: randomBytes(BYTES).toString('base64') },
      }),
    );
  } catch (error) {
    // Another replica was first: its seed is the seed.
    if (!isFailure(error, 'kube.exists')) throw error;
    const made = await kube.get(name);
    if (made !== undefined) return seedOf(made);
    throw error;
  }
}

function seedOf(secret: KubeObject): Uint8Array {
  const data = (secret['data'] ?? {}) as Readonly<Record<string, string>>;
  const seed = Buffer.from(data[KEY] ?? '', 'base64');
  if (seed.length === BYTES) return seed;
  throw failure('config.refused', {
    reason: `the Secret ${secret.metadata.namespace}/${NAME} holds no seed of ${BYTES} bytes`,
    mend: 'Delete it: another is made, and what templates drew at random is drawn anew.',
  });
}

/**
 * The validating webhook as a real kube-apiserver asks it: by the manifests of `deploy/operator/webhook.yaml`, under the rights
 * of `deploy/operator/rbac.yaml`, with the certificate that the operator makes and announces itself.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { asFailure } from '../../src/base/errors.ts';
import type { Controller } from '../../src/bin/operator/service.ts';
import type { KubeObject, Resource } from '../../src/kube/kube.ts';
import { EXTERNAL_SECRETS, NAMESPACES, VALIDATING_WEBHOOKS } from '../../src/operator/api/resources.ts';
import { type Ground, startGround } from '../support/controller.ts';
import { eventually } from '../support/platform.ts';
import { freePort } from '../support/ports.ts';
import { noRealApi } from '../support/realapi.ts';

if (noRealApi !== undefined) console.warn(`SKIPPED test/real/operator-kube-webhook: ${noRealApi}`);

const SERVICES: Resource = {
  group: '',
  version: 'v1',
  plural: 'services',
  kind: 'Service',
  namespaced: true,
};
const WRONG = { secretStoreRef: { name: 'store', kind: 'SecretStore' } };
const REFUSAL =
  'admission webhook "validate.externalsecret.external-secrets.io" denied the request: either data or dataFrom should be specified [operator.spec_invalid]';

describe.skipIf(noRealApi !== undefined)('the webhook of a kube-apiserver', () => {
  let ground: Ground;
  let controller: Controller;

  /** What the API server says to it; undefined: it took it. */
  const create = async (name: string, spec: object): Promise<string | undefined> => {
    const at = { resource: EXTERNAL_SECRETS, namespace: 'shop', name };
    try {
      await ground.kube.create(at, {
        apiVersion: 'external-secrets.io/v1',
        kind: 'ExternalSecret',
        metadata: { name, namespace: 'shop' },
        spec,
      });
      return undefined;
    } catch (error) {
      return asFailure(error).message;
    }
  };
  const drop = (name: string) => ground.kube.delete({ resource: EXTERNAL_SECRETS, namespace: 'shop', name });

  beforeAll(async () => {
    ground = await startGround(true);
    const port = await freePort();
    const text = readFileSync(join(import.meta.dirname, '../../deploy/operator/webhook.yaml'), 'utf8');
    const [service, configuration] = parseAllDocuments(text).map(
      (document) => document.toJS() as KubeObject & { webhooks: { clientConfig: { service: object } }[] },
    );
    if (service === undefined || configuration === undefined) throw new Error('webhook.yaml is not whole');
    await ground.kube.create(
      { resource: NAMESPACES, name: 'shop' },
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
    );
    // No pod network is here: the Service leads to this machine by name, and TLS still goes by the Service's own.
    await ground.kube.create(
      { resource: SERVICES, namespace: 'holdfast-system', name: service.metadata.name },
      { ...service, spec: { type: 'ExternalName', externalName: 'localhost' } },
    );
    await ground.kube.create(
      { resource: VALIDATING_WEBHOOKS, name: configuration.metadata.name },
      {
        ...configuration,
        webhooks: configuration.webhooks.map((webhook) => ({
          ...webhook,
          clientConfig: { service: { ...webhook.clientConfig.service, port } },
        })),
      },
    );
    controller = await ground.run({ webhookAddress: `127.0.0.1:${port}` });
  });
  afterAll(() => ground?.stop());

  test('refuses what is wrong in the words of the condition, and lets everything in once it is gone', async () => {
    const said = await eventually(
      'the API server asks',
      async () => {
        const answer = await create('wrong', WRONG);
        if (answer === undefined) await drop('wrong');
        return answer;
      },
      40_000,
    );
    expect(said).toContain(REFUSAL);
    const good = { ...WRONG, data: [{ secretKey: 'k', remoteRef: { key: 'k' } }] };
    expect(await create('good', good)).toBeUndefined();
    expect(await drop('good')).toBe(true);

    await controller.close();
    expect(await create('wrong', WRONG)).toBeUndefined();
    expect(await drop('wrong')).toBe(true);
  });
});

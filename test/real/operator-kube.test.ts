/**
 * The operator over a real kube-apiserver with its etcd: the suites that run over the embedded API, and what only the real one
 * does: it is killed and started again, it freezes, its etcd forgets what a watch could go on from.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SECRETS } from '../../src/operator/api/resources.ts';
import { type Ground, startGround } from '../support/controller.ts';
import { kubectl, noKubectl } from '../support/kubectl.ts';
import { eventually, startTestPlatform, type TestPlatform } from '../support/platform.ts';
import { noRealApi } from '../support/realapi.ts';
import { externalSecretSuite } from '../support/suites/externalsecrets.ts';
import { type OtherKinds, startOtherKinds } from '../support/suites/otherkinds.ts';
import { ownershipSuite } from '../support/suites/ownership.ts';
import { entry, textsOf } from '../support/team.ts';

const skipped = noRealApi ?? noKubectl;
if (skipped !== undefined) console.warn(`SKIPPED test/real/operator-kube: ${skipped}`);

const start = (): Promise<TestPlatform> => startTestPlatform({ real: true });

describe.skipIf(skipped !== undefined)('over a kube-apiserver', () => {
  describe('an ExternalSecret', () => externalSecretSuite(start));
  describe('the Secret of an ExternalSecret', () => ownershipSuite(start));

  describe('the operator beside an API server that', () => {
    let ground: Ground;
    let others: OtherKinds;
    const store = (): object => ({
      apiVersion: 'external-secrets.io/v1',
      kind: 'ClusterSecretStore',
      metadata: { name: 'store' },
      spec: {
        provider: {
          vault: {
            server: ground.address,
            path: 'secret',
            version: 'v2',
            auth: { tokenSecretRef: { name: 'token', namespace: 'shop', key: 'token' } },
          },
        },
      },
    });
    const put = (plural: string, object: object): Promise<unknown> => {
      const { apiVersion, kind, metadata } = object as {
        apiVersion: string;
        kind: string;
        metadata: { name: string; namespace?: string };
      };
      const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
      return ground.kube.apply(
        {
          resource: {
            group: group ?? '',
            version: version ?? '',
            plural,
            kind,
            namespaced: metadata.namespace !== undefined,
          },
          ...metadata,
        },
        object,
        { manager: 'test', force: true },
      );
    };
    const write = (v: string): Promise<unknown> =>
      ground.root.request('PUT', 'secret/data/shop/app', { body: { data: { v } } });
    const holds = (v: string): Promise<true> =>
      eventually(
        `app holds ${v}`,
        async () => {
          const found = await ground.kube
            .get({ resource: SECRETS, namespace: 'shop', name: 'app' })
            .catch(() => undefined);
          return (found !== undefined && textsOf(found)['v'] === v) || undefined;
        },
        40_000,
      );

    /** The first word of a watch of Secrets from that version on. */
    const watchFrom = async (resourceVersion: string): Promise<string | undefined> => {
      const stop = new AbortController();
      for await (const { type } of ground.kube.watch({ resource: SECRETS, resourceVersion }, stop.signal)) {
        stop.abort();
        return type;
      }
      return undefined;
    };

    beforeAll(async () => {
      ground = await startGround(true);
      await put('namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
      await put('secrets', {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'token', namespace: 'shop' },
        stringData: { token: ground.keys.rootToken },
      });
      await write('one');
      await put('clustersecretstores', store());
      await put('externalsecrets', {
        apiVersion: 'external-secrets.io/v1',
        kind: 'ExternalSecret',
        metadata: { name: 'app', namespace: 'shop' },
        spec: {
          refreshInterval: '1h',
          secretStoreRef: { name: 'store', kind: 'ClusterSecretStore' },
          data: [entry('v', 'secret/shop/app', 'v')],
        },
      });
      others = await startOtherKinds(ground, 'app');
      await ground.run({
        egressAllow: [ground.address.replace('http://', '')],
        pushServer: [ground.address],
        pushTokenFile: ground.tokenFile,
        generatorGcGracePeriod: '1s',
      });
      await holds('one');
      await others.right('one');
    });
    afterAll(async () => {
      await ground?.stop();
      await others?.close();
    });

    test('is killed and started again goes on where it was', async () => {
      await others.renew();
      await ground.cluster?.restart();
      await write('two');
      await holds('two');
      await others.right('two');
      await ground.kube.delete({ resource: SECRETS, namespace: 'shop', name: 'app' });
      await holds('two');
    });

    test('has forgotten what came after the last that was heard is listed anew, and what was missed is found', async () => {
      await others.renew();
      ground.between.fault = () => 'cut';
      ground.between.cut();
      await write('forgotten');
      await ground.kube.delete({ resource: SECRETS, namespace: 'shop', name: 'app' });
      await ground.cluster?.compact();
      // It answers watches from memory for as long as it lives.
      await ground.cluster?.restart();
      const began = ground.between.asked.length;
      ground.between.fault = () => undefined;
      await holds('forgotten');
      expect(await watchFrom('1')).toBe('GONE');
      const listed = (plural: string): true | undefined =>
        ground.between.asked
          .slice(began)
          .some(({ method, path, watch }) => method === 'GET' && !watch && path.endsWith(`/${plural}`)) ||
        undefined;
      for (const plural of ['secrets', 'externalsecrets'])
        await eventually(`${plural} are listed`, () => listed(plural), 40_000);
      await write('remembered');
      await holds('remembered');
      await others.right('remembered');
    });

    test('freezes with its sockets open is waited for, and asked again', async () => {
      await others.renew();
      ground.cluster?.freeze();
      await write('three');
      await new Promise((resolve) => setTimeout(resolve, 5000));
      ground.cluster?.thaw();
      await holds('three');
      await others.right('three');
      await others.stand();
    });

    test('lets it ask one thing at a time and turns the rest away with 429 is asked again, and everything comes', async () => {
      const control = kubectl(ground.env);
      const name = 'one-seat';
      const apiVersion = 'flowcontrol.apiserver.k8s.io/v1';
      const serviceAccount = { namespace: 'holdfast-system', name: 'holdfast-operator' };
      const everything = { verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'] };
      const limited = {
        nominalConcurrencyShares: 0,
        borrowingLimitPercent: 0,
        limitResponse: { type: 'Reject' },
      };
      await control.apply(
        {
          apiVersion,
          kind: 'PriorityLevelConfiguration',
          metadata: { name },
          spec: { type: 'Limited', limited },
        },
        {
          apiVersion,
          kind: 'FlowSchema',
          metadata: { name },
          spec: {
            matchingPrecedence: 2,
            priorityLevelConfiguration: { name },
            rules: [
              {
                subjects: [{ kind: 'ServiceAccount', serviceAccount }],
                resourceRules: [{ ...everything, clusterScope: true }],
              },
            ],
          },
        },
      );
      /** Of the server's own table: what it let in is its column 6, what it turned away its column 7. */
      const row = async (): Promise<readonly string[]> => {
        const dump = '/debug/api_priority_and_fairness/dump_priority_levels';
        const rows = (await control.ok(`get --raw ${dump}`)).split('\n').map((line) => line.split(/,\s*/));
        return rows.find(([level]) => level === name) ?? [];
      };
      await eventually(
        'the limit holds for the operator',
        async () => {
          await others.renew();
          return Number((await row())[6]) > 0 || undefined;
        },
        30_000,
      );
      await write('four');
      await holds('four');
      await others.right('four');
      await others.stand();
      expect(Number((await row())[7])).toBeGreaterThan(0);
      await control.ok(`delete flowschema,prioritylevelconfiguration ${name}`);
    });

    test('did all of this leaves no account behind that nobody asks for', () => others.end());

    test('takes the rights of deploy/ as they are written there', async () => {
      const review = await ground.kube.create(
        {
          resource: {
            group: 'authorization.k8s.io',
            version: 'v1',
            plural: 'subjectaccessreviews',
            kind: 'SubjectAccessReview',
            namespaced: false,
          },
          name: 'review',
        },
        {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SubjectAccessReview',
          spec: {
            user: 'system:serviceaccount:holdfast-system:holdfast-operator',
            resourceAttributes: { verb: 'create', resource: 'pods', namespace: 'shop' },
          },
        },
      );
      expect(review['status']).toMatchObject({ allowed: false });
    });
  });
});

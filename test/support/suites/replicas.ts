/**
 * The operator as several replicas over the Leases of a Kubernetes API: one of them leads, or all share the work. Who wrote
 * what is seen on the way of each to the API.
 */

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Controller } from '../../../src/bin/operator/service.ts';
import type { KubeObject } from '../../../src/kube/kube.ts';
import { LEASES } from '../../../src/kube/lease.ts';
import {
  CLUSTER_SECRET_STORES,
  EXTERNAL_SECRETS,
  NAMESPACES,
  SECRETS,
} from '../../../src/operator/api/resources.ts';
import type { Ground, OwnWay } from '../controller.ts';
import type { Fault } from '../kubefaults.ts';
import { eventually } from '../platform.ts';
import { textsOf } from '../team.ts';

/** Each way to run is a class of its own with a namespace of its own, so that both are seen at once and none disturbs the other. */
const MODES = ['leading', 'sharing'] as const;
type Mode = (typeof MODES)[number];
/** So many that no share is ever empty by chance: one in half a million. */
const NAMES = Array.from({ length: 20 }, (_, at) => `s${at}`);
/** A Lease of 15 s, and a look each 2 s, beside a machine that does much else. */
const TAKEN_OVER_MS = 60_000;
/** A Lease that is renewed each 2 s and was not for so long is nobody's. */
const RENEWED_MS = 8000;

interface Replica extends OwnWay {
  readonly controller: Controller;
  readonly mode: Mode;
}
interface Written {
  readonly by: Replica['between'];
  readonly name: string;
}

/** @param start a ground of its own: over the embedded Kubernetes API, or over a real one */
export function replicaSuite(start: () => Promise<Ground>): void {
  let ground: Ground;
  let made = 0;
  const replicas: Record<Mode, Replica[]> = { leading: [], sharing: [] };
  /** Secrets that were asked to be changed, in the order of asking, whatever became of it. */
  const written: Record<Mode, Written[]> = { leading: [], sharing: [] };

  const begin = async (mode: Mode): Promise<Replica> => {
    const way = await ground.ownWay();
    listen(way.between, mode);
    const controller = await ground.run({
      kubeconfig: way.kubeconfig,
      controllerClass: mode,
      egressAllow: [ground.address.replace('http://', '')],
      pushServer: [ground.address],
      pushTokenFile: ground.tokenFile,
      ...(mode === 'leading' ? { enableLeaderElection: true } : { enableSharding: true }),
    });
    const replica = { ...way, controller, mode };
    replicas[mode].push(replica);
    return replica;
  };
  /** @param fault of all that is asked from here on, beside being written down */
  const listen = (between: Replica['between'], mode: Mode, fault?: Fault): void => {
    const path = new RegExp(`^/api/v1/namespaces/${mode}/secrets/([^/]+)$`);
    between.fault = (asked) => {
      const name = asked.method === 'GET' ? undefined : path.exec(asked.path)?.[1];
      if (name !== undefined) written[mode].push({ by: between, name });
      return fault;
    };
  };
  const change = async (): Promise<string> => {
    const v = `v${++made}`;
    await ground.root.request('PUT', 'secret/data/all', { body: { data: { v } } });
    return v;
  };
  const holding = async (mode: Mode): Promise<readonly (string | undefined)[]> => {
    const { items } = await ground.kube.list({ resource: SECRETS, namespace: mode });
    return NAMES.map((name) => {
      const found = items.find(({ metadata }) => metadata.name === name);
      return found === undefined ? undefined : textsOf(found)['v'];
    });
  };
  const hold = (mode: Mode, v: string): Promise<true> =>
    eventually(
      `all of ${mode} hold ${v}`,
      async () => (await holding(mode)).every((one) => one === v) || undefined,
      TAKEN_OVER_MS,
    );
  /** Changes what all read, and gives who wrote it where. */
  const round = async (): Promise<Record<Mode, readonly Written[]>> => {
    const before = { leading: written.leading.length, sharing: written.sharing.length };
    const v = await change();
    await Promise.all(MODES.map((mode) => hold(mode, v)));
    return {
      leading: written.leading.slice(before.leading),
      sharing: written.sharing.slice(before.sharing),
    };
  };
  const writers = (of: readonly Written[]): Set<Written['by']> => new Set(of.map(({ by }) => by));
  /** One that had an old version at hand writes twice; two writers of one Secret are what must never be. */
  const expectOneWriterEach = (of: readonly Written[]): void => {
    for (const name of NAMES)
      expect(writers(of.filter((one) => one.name === name)).size, `writers of ${name}`).toBe(1);
  };
  const lease = async (): Promise<KubeObject | undefined> =>
    ground.kube.get({
      resource: LEASES,
      namespace: 'holdfast-system',
      name: 'holdfast-operator-leader',
    });
  const spec = (object: KubeObject | undefined) => (object?.['spec'] ?? {}) as Record<string, unknown>;
  /** Those that are renewed. What a replica that was cut off left behind lies there for a minute. */
  const shares = async (): Promise<readonly KubeObject[]> => {
    const { items } = await ground.kube.list({
      resource: LEASES,
      namespace: 'holdfast-system',
      labelSelector: 'holdfast.dev/replicas-of=holdfast-operator',
    });
    return items.filter((one) => Date.now() - Date.parse(String(spec(one)['renewTime'])) < RENEWED_MS);
  };
  /** Until so many share, and each counts all others in. */
  const settled = (count: number): Promise<true> =>
    eventually(
      `${count} replicas share the work`,
      async () => {
        const all = await shares();
        const names = all.map(({ metadata }) => metadata.name);
        const counted = all.every(({ metadata: { name, annotations } }) => {
          const counts = annotations?.['holdfast.dev/counts-in']?.split(',') ?? [];
          return names.every((other) => other === name || counts.includes(other));
        });
        return (all.length === count && counted) || undefined;
      },
      TAKEN_OVER_MS,
    );

  beforeAll(async () => {
    ground = await start();
    const server = ground.address;
    const token = { name: 'token', namespace: 'leading', key: 'token' };
    for (const mode of MODES)
      await ground.kube.create(
        { resource: NAMESPACES, name: mode },
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name: mode } },
      );
    await ground.kube.create(
      { resource: SECRETS, namespace: 'leading', name: 'token' },
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'token', namespace: 'leading' },
        stringData: { token: ground.keys.rootToken },
      },
    );
    for (const mode of MODES) {
      await ground.kube.create(
        { resource: CLUSTER_SECRET_STORES, name: mode },
        {
          apiVersion: 'external-secrets.io/v1',
          kind: 'ClusterSecretStore',
          metadata: { name: mode },
          spec: {
            controller: mode,
            provider: { vault: { server, path: 'secret', version: 'v2', auth: { tokenSecretRef: token } } },
          },
        },
      );
      for (const name of NAMES)
        await ground.kube.create(
          { resource: EXTERNAL_SECRETS, namespace: mode, name },
          {
            apiVersion: 'external-secrets.io/v1',
            kind: 'ExternalSecret',
            metadata: { name, namespace: mode },
            spec: {
              refreshInterval: '1h',
              secretStoreRef: { name: mode, kind: 'ClusterSecretStore' },
              data: [{ secretKey: 'v', remoteRef: { key: 'all', property: 'v' } }],
            },
          },
        );
    }
    const first = await change();
    for (const mode of MODES) {
      await begin(mode);
      await hold(mode, first);
      await begin(mode);
    }
    await settled(2);
  }, 120_000);
  afterAll(() => ground?.stop());

  test('lead one at a time, by a Lease that names who, or share the work so that each Secret has one writer', async () => {
    const { leading, sharing } = await round();
    expect(writers(leading)).toEqual(new Set([replicas.leading[0]?.between]));
    expect(spec(await lease())).toMatchObject({
      holderIdentity: expect.stringMatching(/_[0-9a-f]{8}$/),
      leaseDurationSeconds: 15,
      leaseTransitions: 0,
      renewTime: expect.stringMatching(/^\d{4}-\S+\.\d{6}Z$/),
    });
    expectOneWriterEach(sharing);
    expect(writers(sharing)).toEqual(new Set(replicas.sharing.map(({ between }) => between)));
  });

  test('hand the work on when one of them ends, and take a new one in', async () => {
    const before = spec(await lease())['holderIdentity'];
    for (const mode of MODES) await replicas[mode].shift()?.controller.close();
    await settled(1);
    const { leading, sharing } = await round();
    for (const [mode, of] of [
      ['leading', leading],
      ['sharing', sharing],
    ] as const)
      expect(writers(of)).toEqual(new Set([replicas[mode][0]?.between]));
    const now = spec(await lease());
    expect(now['holderIdentity']).not.toBe(before);
    expect(now['leaseTransitions']).toBe(1);
    for (const mode of MODES) await begin(mode);
    await settled(2);
    const after = await round();
    expect(writers(after.leading).size).toBe(1);
    expect(writers(after.sharing).size).toBe(2);
    expectOneWriterEach(after.sharing);
  });

  test('go on over a short absence of the whole API without a change of hands', async () => {
    const holder = spec(await lease())['holderIdentity'];
    const names = (await shares()).map(({ metadata }) => metadata.name).sort();
    if (ground.cluster !== undefined) await ground.cluster.restart();
    else for (const { between } of [...replicas.leading, ...replicas.sharing]) between.cut();
    const { leading, sharing } = await round();
    expect(writers(leading).size).toBe(1);
    expect(writers(sharing).size).toBe(2);
    expectOneWriterEach(sharing);
    expect(spec(await lease())['holderIdentity']).toBe(holder);
    expect((await shares()).map(({ metadata }) => metadata.name).sort()).toEqual(names);
  });

  test('that are cut off from the API stop before another takes their work over', async () => {
    const cut = MODES.map((mode) => replicas[mode][0]?.between);
    const began = { leading: written.leading.length, sharing: written.sharing.length };
    for (const mode of MODES) {
      const between = replicas[mode][0]?.between;
      if (between === undefined) throw new Error(`nobody works in ${mode}`);
      listen(between, mode, 'cut');
      between.cut();
    }
    const v = await change();
    await Promise.all(MODES.map((mode) => hold(mode, v)));
    for (const mode of MODES) {
      const since = written[mode].slice(began[mode]);
      for (const name of NAMES) {
        const of = since.filter((one) => one.name === name).map(({ by }) => cut.includes(by));
        // Whatever the one that was cut off still tried came before the other's first word on that Secret.
        expect(of.lastIndexOf(true), `${mode}/${name}`).toBeLessThan(of.indexOf(false));
      }
    }
    for (const mode of MODES) {
      const between = replicas[mode][0]?.between;
      if (between !== undefined) listen(between, mode);
    }
    // Back again, each is counted in by the other: as another life, for its old Lease was lost.
    await settled(2);
  });
}

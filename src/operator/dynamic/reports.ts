/**
 * The SyncReport of an ExternalSecret: which of its keys name an engine, chosen once, and the leases that it holds. It goes
 * with the ExternalSecret.
 */

import { isFailure } from '../../base/errors.ts';
import type { Kube, KubeObject, Name } from '../../kube/kube.ts';
import {
  SYNC_REPORTS,
  type SyncReportLease,
  type SyncReportStatus,
  syncReportStatus,
} from '../api/syncreport.ts';
import type { Subject } from './lease.ts';

const MANAGER = 'holdfast-operator';
/** Somebody else wrote in between: that often in a row, and something is wrong. */
const TRIES = 5;

export interface Source {
  readonly store: string;
  readonly key: string;
}

export const statusOf = (report: KubeObject | undefined): SyncReportStatus => {
  const parsed = syncReportStatus.safeParse(report?.['status'] ?? {});
  return parsed.success ? parsed.data : { sources: [], leases: [] };
};

/** Whether the report of an owner says that a key names an engine. A report of a former owner of the name says nothing. */
export const saysEngine = (report: KubeObject | undefined, uid: string, source: Source): boolean =>
  isOf(report, uid) &&
  statusOf(report).sources.some(({ store, key }) => store === source.store && key === source.key);

const isOf = (report: KubeObject | undefined, uid: string): boolean =>
  report?.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;

/** Records that a key names an engine, durably. @throws Failure kube.* */
export const chooseEngine = (kube: Kube, owner: Subject['owner'], { store, key }: Source): Promise<void> =>
  change(kube, owner, (status) => ({
    ...status,
    sources: [
      ...status.sources.filter((one) => one.store !== store || one.key !== key),
      { store, key, from: 'Engine' },
    ],
  }));

/** Says which leases an owner holds. @throws Failure kube.* */
export const tellLeases = (
  kube: Kube,
  owner: Subject['owner'],
  leases: readonly SyncReportLease[],
): Promise<void> =>
  change(kube, owner, ({ sources }) => {
    const ends = leases.flatMap(({ expireTime }) => expireTime ?? []).sort();
    return { sources, leases: [...leases], ...(ends[0] === undefined ? {} : { expireTime: ends[0] }) };
  });

async function change(
  kube: Kube,
  owner: Subject['owner'],
  edit: (status: SyncReportStatus) => SyncReportStatus,
): Promise<void> {
  const name: Name = { resource: SYNC_REPORTS, namespace: owner.namespace, name: owner.name };
  for (let tries = 1; ; tries++) {
    const found = await kube.get(name);
    const mine = isOf(found, owner.uid) ? found : undefined;
    const before = statusOf(mine);
    const status = edit(before);
    if (mine !== undefined && JSON.stringify(before) === JSON.stringify(status)) return;
    try {
      if (found === undefined) await kube.create(name, reportOf(owner, status), { manager: MANAGER });
      else {
        const { resourceVersion } = found.metadata;
        const report = reportOf(owner, status);
        const metadata = {
          ...report.metadata,
          ...(resourceVersion === undefined ? {} : { resourceVersion }),
        };
        await kube.update(name, { ...report, metadata }, { manager: MANAGER });
      }
      return;
    } catch (error) {
      const raced = isFailure(error, 'kube.conflict') || isFailure(error, 'kube.exists');
      if (!raced || tries >= TRIES) throw error;
    }
  }
}

const reportOf = (owner: Subject['owner'], status: SyncReportStatus): KubeObject => ({
  apiVersion: `${SYNC_REPORTS.group}/${SYNC_REPORTS.version}`,
  kind: SYNC_REPORTS.kind,
  metadata: {
    name: owner.name,
    namespace: owner.namespace,
    ownerReferences: [
      {
        apiVersion: 'external-secrets.io/v1',
        kind: owner.kind,
        name: owner.name,
        uid: owner.uid,
        controller: false,
        blockOwnerDeletion: false,
      },
    ],
  },
  spec: { externalSecretName: owner.name },
  status,
});

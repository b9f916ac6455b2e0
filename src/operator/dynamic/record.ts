/**
 * The record of an issued credential as a Secret of the operator's own namespace. It holds a login, which may reach further
 * than the tenant whose credential it is for, so it never lies in a tenant's namespace. Labels and annotations say when to
 * look at it and whose it is: that much is watched, and the rest is read when it is needed.
 */

import { sha256 } from '../../base/bytes.ts';
import { parseJson, stringify } from '../../base/json.ts';
import type { KubeObject, Name } from '../../kube/kube.ts';
import { courseOf } from '../../provider/course.ts';
import { SECRETS } from '../api/resources.ts';
import type { SyncReportLease } from '../api/syncreport.ts';
import type { LeaseRecord, Subject } from './lease.ts';

export const LABEL_LEASE = 'holdfast.dev/lease';
export const LABEL_OWNER = 'holdfast.dev/owner-uid';
const ANNOTATION_OWNER = 'holdfast.dev/owner';
const ANNOTATION_FACE = 'holdfast.dev/face';
const TYPE = 'holdfast.dev/lease';
const ENTRY = 'record';
/** The shape of the record; another one is another release's, and is left alone. */
const FORMAT = 1;

/** The name of a credential's record: the same for the same owner and need, whoever asks. */
export const recordName = ({ owner, id }: Pick<Subject, 'owner' | 'id'>): string =>
  `lease-${sha256(`${owner.uid}\n${id}`).toString('hex').slice(0, 40)}`;

export const nameOf = (namespace: string, name: string): Name => ({ resource: SECRETS, namespace, name });

/** @param version the resourceVersion that it replaces; undefined for a new one */
export function secretOf(record: LeaseRecord, namespace: string, version: string | undefined): KubeObject {
  const { owner } = record;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: TYPE,
    metadata: {
      name: recordName(record),
      namespace,
      ...(version === undefined ? {} : { resourceVersion: version }),
      labels: { [LABEL_LEASE]: 'true', [LABEL_OWNER]: owner.uid },
      annotations: {
        [ANNOTATION_OWNER]: ownerKey(owner),
        ...(record.current === undefined ? {} : { [ANNOTATION_FACE]: JSON.stringify(faceOf(record)) }),
      },
    },
    data: { [ENTRY]: Buffer.from(stringify({ format: FORMAT, record })).toString('base64') },
  };
}

/** Undefined for what another release wrote, or somebody by hand. */
export function recordOf(secret: KubeObject): LeaseRecord | undefined {
  const text = (secret['data'] as Readonly<Record<string, string>> | undefined)?.[ENTRY] ?? '';
  try {
    const kept = parseJson(Buffer.from(text, 'base64').toString('utf8')) as unknown as {
      readonly format?: number;
      readonly record?: LeaseRecord;
    };
    return kept.format === FORMAT ? kept.record : undefined;
  } catch {
    return undefined;
  }
}

const time = (at: number | undefined): string | undefined =>
  at === undefined ? undefined : `${new Date(at).toISOString().slice(0, 19)}Z`;

/** What anybody who may see the owner may see of its credential. No secret is in it. */
export function faceOf({ key, store, current }: LeaseRecord): SyncReportLease | undefined {
  if (current === undefined) return undefined;
  const { renewAt, reissueAt, endsAt } = courseOf(current);
  const face: { [Key in keyof SyncReportLease]: SyncReportLease[Key] | undefined } = {
    key,
    store,
    path: current.path,
    leaseId: current.envelope.leaseId || undefined,
    renewable: current.lease?.renewable ?? false,
    issueTime: time(current.issuedAt),
    renewTime: renewAt !== undefined && renewAt < (reissueAt ?? Infinity) ? time(renewAt) : undefined,
    reissueTime: time(reissueAt),
    expireTime: time(endsAt),
    trouble: current.trouble,
  };
  return Object.fromEntries(
    Object.entries(face).filter(([, value]) => value !== undefined),
  ) as SyncReportLease;
}

/** The face of a record that is known by its metadata. */
export function shownFace(secret: KubeObject): SyncReportLease | undefined {
  const text = secret.metadata.annotations?.[ANNOTATION_FACE];
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as SyncReportLease;
  } catch {
    return undefined;
  }
}

/** The owner as the queue names it. */
export const ownerKey = ({ kind, namespace, name }: Subject['owner']): string =>
  `${kind}/${namespace}/${name}`;

/** The same, of a record that is known by its metadata. */
export const ownerOf = ({ metadata }: KubeObject): string | undefined =>
  metadata.annotations?.[ANNOTATION_OWNER];

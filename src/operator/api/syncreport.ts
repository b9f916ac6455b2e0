/**
 * SyncReport, holdfast.dev/v1alpha1: what the operator knows of an ExternalSecret and upstream's kind has no room for. A kind
 * of our own, so that we also work beside upstream's definitions.
 */

import { z } from 'zod';
import type { Resource } from '../../kube/kube.ts';

export const SYNC_REPORTS: Resource = {
  group: 'holdfast.dev',
  version: 'v1alpha1',
  plural: 'syncreports',
  kind: 'SyncReport',
  namespaced: true,
};

export const syncReportSpec = z.object({
  externalSecretName: z.string(),
});

const lease = z.object({
  /** As the ExternalSecret names it. */
  key: z.string(),
  store: z.string(),
  /** As the server knows it. */
  path: z.string(),
  leaseId: z.string().optional(),
  renewable: z.boolean(),
  issueTime: z.string().optional(),
  renewTime: z.string().optional(),
  reissueTime: z.string().optional(),
  expireTime: z.string().optional(),
  /** Why none came in its place, though it was due. */
  trouble: z.string().optional(),
});

export const syncReportStatus = z.object({
  /** What a key was found to name: the choice is made once, and stands as long as the report does. */
  sources: z.array(z.object({ store: z.string(), key: z.string(), from: z.enum(['Engine']) })).default([]),
  leases: z.array(lease).default([]),
  /** When the first of them ends. */
  expireTime: z.string().optional(),
});

export type SyncReportLease = z.output<typeof lease>;
export type SyncReportStatus = z.output<typeof syncReportStatus>;

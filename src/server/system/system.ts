/** `sys/`: the server's own routes, gathered from one file per group. */

import type { Plugin } from '../../plugin/plugin.ts';
import type { Platform } from '../core/core.ts';
import { auditRoutes } from './audit.ts';
import { auditingRoutes } from './auditing.ts';
import { backupRoutes } from './backup.ts';
import { ceremonyRoutes } from './ceremonies.ts';
import { counterRoutes } from './counters.ts';
import { internalRoutes } from './internal.ts';
import { keyRoutes } from './keys.ts';
import { leaseRoutes } from './leases.ts';
import { lockedUserRoutes } from './lockedusers.ts';
import { metricsRoutes } from './metrics.ts';
import { mountRoutes } from './mounts.ts';
import { nodeRoutes } from './node.ts';
import { openApiRoutes } from './openapi.ts';
import { passwordRoutes } from './passwords.ts';
import { pluginRoutes } from './plugins.ts';
import { policyRoutes } from './policies.ts';
import { quotaRoutes } from './quotas.ts';
import { raftRoutes } from './raft.ts';
import { remountRoutes } from './remount.ts';
import { sealRoutes } from './seal.ts';
import { toolRoutes } from './tools.ts';
import { wrappingRoutes } from './wrapping.ts';

export function systemRoutes(platform: Platform): Plugin {
  const { core } = platform;
  return {
    routes: [
      ...sealRoutes(platform),
      ...mountRoutes(platform),
      ...policyRoutes(core),
      ...wrappingRoutes(core),
      ...auditRoutes(core),
      ...lockedUserRoutes(core),
      ...toolRoutes(),
      ...internalRoutes(platform),
      ...counterRoutes(core),
      ...openApiRoutes(platform),
      ...leaseRoutes(core),
      ...keyRoutes(core),
      ...ceremonyRoutes(core, platform.ceremonies),
      ...remountRoutes(core),
      ...quotaRoutes(core),
      ...passwordRoutes(core),
      ...auditingRoutes(core),
      ...raftRoutes(platform),
      ...backupRoutes(platform),
      ...metricsRoutes(platform),
      ...nodeRoutes(platform),
      ...pluginRoutes(platform),
    ],
  };
}

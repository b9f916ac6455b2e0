/** `sys/`: the server's own routes, gathered from one file per group. */

import type { Plugin } from '../../plugin/plugin.ts';
import type { Platform } from '../core/core.ts';
import { auditRoutes } from './audit.ts';
import { internalRoutes } from './internal.ts';
import { lockedUserRoutes } from './lockedusers.ts';
import { mountRoutes } from './mounts.ts';
import { policyRoutes } from './policies.ts';
import { sealRoutes } from './seal.ts';
import { toolRoutes } from './tools.ts';
import { wrappingRoutes } from './wrapping.ts';

export function systemRoutes(platform: Platform): Plugin {
  const { core } = platform;
  return {
    routes: [
      ...sealRoutes(platform),
      ...mountRoutes(core),
      ...policyRoutes(core),
      ...wrappingRoutes(core),
      ...auditRoutes(core),
      ...lockedUserRoutes(core),
      ...toolRoutes(),
      ...internalRoutes(core),
    ],
  };
}

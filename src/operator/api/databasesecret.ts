/**
 * DatabaseSecret, external-secrets.io/v1alpha1: credentials of a database engine, by the engine's mount and role. A kind of
 * ours with the fields that a document of this field gives it; External Secrets has none of that name.
 */

import { z } from 'zod';
import { condition, name } from './externalsecret.ts';

/** A mount, and a role: segments of a path, the mount may have several. */
const SEGMENTS = /^\/?[-._a-zA-Z0-9]+(\/[-._a-zA-Z0-9]+)*\/?$/;
const SEGMENT = /^[-._a-zA-Z0-9]+$/;

export const databaseSecretSpec = z.object({
  backend: name().meta({
    description: 'The store: a SecretStore of the namespace, else the ClusterSecretStore of that name.',
  }),
  vaultMountPath: z
    .string()
    .min(1)
    .max(256)
    .regex(SEGMENTS)
    .default('database')
    .describe('Where the database engine is mounted; database unless it says otherwise.'),
  vaultRole: z.string().min(1).max(253).regex(SEGMENT).describe('The role of the engine.'),
  target: z
    .object({
      name: name().optional().describe('Its name; that of this object unless it says otherwise.'),
    })
    .optional()
    .describe('The Secret that is written.'),
  refreshInterval: z.string().optional().meta({
    description: 'As in an ExternalSecret: how often it is looked after. A lease that lives on is renewed.',
  }),
});

export const databaseSecretStatus = z.object({ conditions: z.array(condition).optional() });

export type DatabaseSecretSpec = z.output<typeof databaseSecretSpec>;

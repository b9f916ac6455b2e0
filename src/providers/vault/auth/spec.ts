/** `auth` of a store, as upstream's v1 schema has it: one of the methods, each with a mount and what it shows there. */

import { z } from 'zod';
import { awsKeys, secretKey } from '../../../provider/refs.ts';

const namespace = z.string().optional();

/** A key of a Secret, where the key has a usual name. */
export const secretRef = z.object({ name: z.string(), key: z.string().optional(), namespace });

const serviceAccountRef = z.object({
  name: z.string(),
  namespace,
  audiences: z.array(z.string()).optional(),
});

const mount = (usual: string) =>
  z
    .string()
    .regex(/[^/\s]/, 'it names no mount')
    .default(usual);

const username = z.string().regex(/\S/, 'it names no user');

/** The same where upstream takes an empty one for the usual. */
const mountOr = (usual: string) => mount(usual).or(z.literal('').transform(() => usual));

const cloudAccountRef = serviceAccountRef.extend({
  name: z.string().min(1),
  audiences: z.array(z.string()).default([]),
});

export const authSpec = z.object({
  namespace,
  tokenSecretRef: secretRef.optional(),
  appRole: z
    .object({
      path: mount('approle'),
      roleId: z.string().default(''),
      roleRef: secretKey.optional(),
      secretRef: secretKey,
    })
    .refine(({ roleId, roleRef }) => roleId.trim() !== '' || roleRef !== undefined, {
      error: 'invalid Auth.AppRole: neither `roleId` nor `roleRef` was supplied',
    })
    .optional(),
  kubernetes: z
    .object({
      mountPath: z.string().default('kubernetes'),
      role: z.string(),
      serviceAccountRef: serviceAccountRef.optional(),
      secretRef: secretRef.optional(),
      /** Where people put what belongs into `serviceAccountRef`; upstream drops it without a word. */
      audiences: z.array(z.string()).optional(),
    })
    .optional(),
  ldap: z.object({ path: mount('ldap'), username, secretRef: secretKey }).optional(),
  userPass: z.object({ path: mount('userpass'), username, secretRef: secretKey }).optional(),
  jwt: z
    .object({
      path: mount('jwt'),
      /** Empty: the mount's default role. */
      role: z.string().default(''),
      secretRef: secretKey.optional(),
      kubernetesServiceAccountToken: z
        .object({
          serviceAccountRef,
          /** Beside those of `serviceAccountRef`. */
          audiences: z.array(z.string()).default(['vault']),
          /** A cluster gives no token for less than ten minutes. */
          expirationSeconds: z.int().min(600).max(4_294_967_296).default(600),
        })
        .optional(),
    })
    .refine(
      ({ secretRef: given, kubernetesServiceAccountToken: asked }) =>
        given !== undefined || asked !== undefined,
      {
        error:
          'neither `secretRef` nor `kubernetesServiceAccountToken` was supplied as token source for jwt authentication',
      },
    )
    .optional(),
  cert: z
    .object({
      path: mount('cert'),
      /** Empty: any role that trusts the certificate. */
      vaultRole: z.string().default(''),
      clientCert: secretRef.optional(),
      secretRef: secretRef.optional(),
    })
    .refine(({ clientCert, secretRef: key }) => (clientCert === undefined) === (key === undefined), {
      error: 'clientCert and secretRef are a certificate and its key: give both',
    })
    .optional(),
  iam: z
    .object({
      path: mountOr('aws'),
      /** Where the server asks AWS. */
      region: z
        .string()
        .default('')
        .transform((region) => region || 'us-east-1'),
      /** The role of AWS to take on first; empty: none. */
      role: z.string().default(''),
      vaultRole: z.string(),
      externalID: z.string().default(''),
      /** Becomes a header, and white space around it would not be what was signed. */
      vaultAwsIamServerID: z
        .string()
        .regex(/^(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?$/, 'it is no value of a header')
        .default(''),
      secretRef: awsKeys.optional(),
      jwt: z.object({ serviceAccountRef: cloudAccountRef }).optional(),
    })
    .optional(),
  gcp: z
    .object({
      path: mountOr('gcp'),
      role: z.string(),
      projectID: z.string().default(''),
      /** Upstream has it, and no login needs it. */
      location: z.string().default(''),
      secretRef: z.object({ secretAccessKeySecretRef: secretKey }).optional(),
      workloadIdentity: z
        .object({
          serviceAccountRef: cloudAccountRef,
          clusterLocation: z.string().default(''),
          clusterName: z.string().default(''),
          clusterProjectID: z.string().default(''),
        })
        .optional(),
      serviceAccountRef: cloudAccountRef.optional(),
    })
    .optional(),
});

export type VaultAuth = z.output<typeof authSpec>;
/** What a store says under `auth.<method>`. */
export type Given<Name extends MethodName> = NonNullable<VaultAuth[Name]>;
export type MethodName = Exclude<keyof VaultAuth, 'namespace'>;

/**
 * The generators of generators.external-secrets.io/v1alpha1 (external-secrets v2.9), a row for each kind: one source of
 * types, validation and CustomResourceDefinitions. Defaults are applied where we read, never in stored objects.
 */

import { z } from 'zod';
import { preserve } from '../subset.ts';

const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

const keyRef = () =>
  z.object({
    name: z.string().min(1).describe('The name of the Secret.'),
    key: z.string().min(1).describe('Its key.'),
    namespace: z.string().optional().describe('The namespace that the generator runs in, if any is named.'),
  });
const serviceAccountRef = () =>
  z.object({
    name: z.string().min(1).describe('The name of the service account.'),
    namespace: z.string().optional().describe('The namespace that the generator runs in, if any is named.'),
    audiences: z.array(z.string()).default([]).describe('For whom its token is made.'),
  });

export const passwordSpec = z.object({
  /** 0 means the default, as upstream reads it. */
  length: z
    .number()
    .int()
    .min(0)
    .max(4096)
    .default(24)
    .describe('How many characters; 24 unless it says otherwise.'),
  digits: z
    .number()
    .int()
    .min(0)
    .max(4096)
    .optional()
    .describe('How many of them are digits; a quarter unless it says otherwise.'),
  symbols: z
    .number()
    .int()
    .min(0)
    .max(4096)
    .optional()
    .describe('How many of them are symbols; a quarter unless it says otherwise.'),
  symbolCharacters: z.string().optional().describe('Which characters are symbols.'),
  noUpper: z.boolean().default(false).describe('Whether letters are small ones alone.'),
  allowRepeat: z.boolean().default(false).describe('Whether a character may come twice.'),
  secretKeys: z
    .array(z.string().min(1))
    .min(1)
    .max(64)
    .optional()
    .describe('The keys that get a password each; "password" unless it says otherwise.'),
  encoding: z
    .enum(['base64', 'base64url', 'base32', 'hex', 'raw'])
    .default('raw')
    .describe('How the password is written.'),
});

export const uuidSpec = z.object({});

const controller = () =>
  z.string().optional().describe('The class of the operator that looks after this generator; absent: any.');

export const fakeSpec = z.object({
  controller: controller(),
  data: z.record(z.string(), z.string()).default({}).describe('What it gives.'),
});

export const sshKeySpec = z.object({
  keyType: z.enum(['', 'rsa', 'ecdsa', 'ed25519']).default('rsa').describe('rsa unless it says otherwise.'),
  keySize: z
    .number()
    .int()
    .min(256)
    .max(8192)
    .optional()
    .describe('In bits: 2048 for rsa, 256 for ecdsa unless it says otherwise.'),
  comment: z.string().default('').describe('What stands behind the public key.'),
});

export const vaultDynamicSecretSpec = z.object({
  controller: controller(),
  method: z
    .string()
    .default('GET')
    .describe('GET unless it says LIST, DELETE, or anything else, which writes the parameters.'),
  parameters: preserve().optional().describe('What is written.'),
  getParameters: z.record(z.string(), z.array(z.string())).optional().describe('The query of a GET.'),
  resultType: z
    .enum(['Data', 'Auth', 'Raw'])
    .default('Data')
    .describe('Which part of the answer is given: its data, its auth, or all of it.'),
  retrySettings: z
    .object({
      maxRetries: z.number().int().optional().describe('How many more tries there are.'),
      retryInterval: z.string().optional().describe('The wait between two: a Go duration.'),
    })
    .optional()
    .describe('How often a request is tried again, and after which wait.'),
  /** `spec.provider.vault` of a store; its `path` and `version` mean nothing here. */
  provider: preserve().describe('The server and the login, as in spec.provider.vault of a store.'),
  path: z.string().min(1).describe('The whole path that is asked, such as database/creds/readonly.'),
  allowEmptyResponse: z
    .boolean()
    .default(false)
    .describe('Whether an answer without anything is none the worse.'),
});

export const webhookSpec = z.object({
  method: z.string().optional().describe('GET unless it says otherwise.'),
  url: z.string().min(1).describe('A template of the address.'),
  headers: z.record(z.string(), z.string()).optional().describe('Templates of headers.'),
  auth: preserve().optional().describe('Refused: a token in a header says who asks.'),
  body: z.string().optional().describe('A template of what is sent.'),
  timeout: z.string().optional().describe('A Go duration up to 5m; 10s unless it says otherwise.'),
  result: z
    .object({ jsonPath: z.string().optional().describe('Which part of the answer it is; absent: all.') })
    .describe('Where in the answer the JSON object is whose members are given.'),
  secrets: z
    .array(
      z.object({
        name: z.string().describe('What templates call it.'),
        secretRef: z
          .object({
            name: z.string().optional().describe('The name of the Secret.'),
            key: z.string().optional().describe('All of its keys are there; this one need not be named.'),
          })
          .describe('A Secret with the label external-secrets.io/type: webhook.'),
      }),
    )
    .optional()
    .describe('Secrets for the templates.'),
  caBundle: z.string().optional().describe('The authorities of the server, in PEM, or that in base64.'),
  caProvider: z
    .object({
      type: z.enum(['Secret', 'ConfigMap']).describe('What holds them.'),
      name: z.string().min(1).max(253).regex(NAME).describe('Its name.'),
      key: z.string().optional().describe('Its key.'),
      namespace: z.string().optional().describe('The namespace that the generator runs in, if any is named.'),
    })
    .optional()
    .describe('Where the authorities of the server are.'),
});

const awsAuth = z
  .object({
    secretRef: z
      .object({
        accessKeyIDSecretRef: keyRef().describe('The id of the key.'),
        secretAccessKeySecretRef: keyRef().describe('The key.'),
        sessionTokenSecretRef: keyRef()
          .optional()
          .describe('The token of a session, where the key is of one.'),
      })
      .optional()
      .describe('Keys out of Secrets.'),
    jwt: z
      .object({
        serviceAccountRef: serviceAccountRef().describe(
          'Its annotation eks.amazonaws.com/role-arn names the role.',
        ),
      })
      .optional()
      .describe('The role of a service account.'),
  })
  .default({})
  .describe('As whom AWS is asked.');
const region = z.string().min(1).describe('The region of AWS.');
const role = z.string().default('').describe('The role that is taken on; absent: none.');

export const ecrAuthorizationTokenSpec = z.object({
  region,
  auth: awsAuth,
  role,
  scope: z.string().default('').describe('"public" for the public registry.'),
});

export const stsSessionTokenSpec = z.object({
  region,
  auth: awsAuth,
  role,
  requestParameters: z
    .object({
      sessionDuration: z.number().int().optional().describe('In seconds.'),
      serialNumber: z.string().optional().describe('The device of the second factor.'),
      tokenCode: z.string().optional().describe('What that device shows.'),
    })
    .default({})
    .describe('What is asked for.'),
});

export const gcrAccessTokenSpec = z.object({
  auth: preserve().describe('As whom Google is asked, as in spec.provider.gcpsm.auth of a store.'),
  projectID: z.string().default('').describe('The project of Google.'),
});

export const acrAccessTokenSpec = z.object({
  auth: z
    .object({
      servicePrincipal: z
        .object({
          secretRef: z
            .object({
              clientId: keyRef().describe('The id of the application.'),
              clientSecret: keyRef().describe('Its secret.'),
            })
            .describe('Both out of Secrets.'),
        })
        .optional()
        .describe('An application of Entra ID.'),
      managedIdentity: z
        .object({ identityId: z.string().default('').describe('Which one, where the machine has several.') })
        .optional()
        .describe("The operator's own identity, where it lends it."),
      workloadIdentity: z
        .object({
          serviceAccountRef: serviceAccountRef()
            .optional()
            .describe('The service account that is federated.'),
        })
        .optional()
        .describe('The identity of a service account.'),
    })
    .describe('As whom Azure is asked.'),
  tenantId: z.string().default('').describe('The tenant of Entra ID.'),
  registry: z.string().min(1).describe('The host of the registry, such as example.azurecr.io.'),
  scope: z
    .string()
    .default('')
    .describe('What the token may do, such as repository:app:pull; absent: all that its owner may.'),
  environmentType: z
    .enum(['', 'PublicCloud', 'USGovernmentCloud', 'ChinaCloud', 'GermanCloud', 'AzureStackCloud'])
    .default('PublicCloud')
    .describe('Which cloud of Azure.'),
});

export const githubAccessTokenSpec = z.object({
  url: z
    .string()
    .default('')
    .describe('A server of GitHub of your own, with its /api/v3; absent: github.com.'),
  appID: z.string().min(1).describe('The id of the GitHub App.'),
  installID: z.string().min(1).describe('The id of its installation.'),
  repositories: z.array(z.string()).default([]).describe('Which repositories the token is for; absent: all.'),
  permissions: z
    .record(z.string(), z.string())
    .optional()
    .describe('What it may do there; absent: all that the App may.'),
  auth: z
    .object({
      privateKey: z
        .object({ secretRef: keyRef().describe('A key of a Secret.') })
        .describe('The key of the App, in PEM.'),
    })
    .describe('By what the App is known.'),
});

/** `seal "gcpckms"`: a key in Google Cloud KMS. Source followed: Vault's page of this seal. */

import type { Fields } from './fields.ts';

export interface GcpKmsSettings {
  readonly kind: 'gcpckms';
  readonly project: string;
  readonly region: string;
  readonly keyRing: string;
  readonly cryptoKey: string;
  /** URL of Cloud KMS, without a slash at the end. */
  readonly endpoint: string;
  /** Path of a file of credentials; undefined: the identity of the machine, or of the pod on GKE. */
  readonly credentials: string | undefined;
}

export const GCPCKMS_KEYS: readonly string[] = [
  'credentials',
  'project',
  'region',
  'key_ring',
  'crypto_key',
  'user_agent',
  'endpoint',
  'instance_metadata',
];

const NAME = /^[a-zA-Z0-9_-]{1,63}$/;

/** @throws Failure config.invalid */
export function readGcpKms(fields: Fields): GcpKmsSettings {
  const part = (key: string, variables: readonly string[], shape = NAME): string => {
    const mend = `Write ${key} = "..." as Google Cloud shows it: a name, and not a whole path.`;
    return fields.shaped(key, fields.required(key, mend, variables), shape, mend);
  };
  const credentials = fields.text('credentials', ['GOOGLE_CREDENTIALS'], ['GOOGLE_APPLICATION_CREDENTIALS']);
  if (credentials === '' && !fields.truth('instance_metadata'))
    throw fields.refused(
      'has nobody to ask as',
      'Name a file as `credentials`; for the identity of the machine, or of the pod on GKE, write instance_metadata = "true".',
    );
  return {
    kind: 'gcpckms',
    // Projects of a domain have its name before them: "example.com:vault".
    project: part('project', ['GOOGLE_PROJECT'], /^[a-z0-9.:-]{1,128}$/),
    region: part('region', ['GOOGLE_REGION']),
    keyRing: part('key_ring', ['GCPCKMS_WRAPPER_KEY_RING', 'VAULT_GCPCKMS_SEAL_KEY_RING']),
    cryptoKey: part('crypto_key', ['GCPCKMS_WRAPPER_CRYPTO_KEY', 'VAULT_GCPCKMS_SEAL_CRYPTO_KEY']),
    endpoint: fields.address(
      'endpoint',
      fields.text('endpoint') || 'https://cloudkms.googleapis.com',
      'Write endpoint = "https://...", or leave it out.',
    ),
    credentials: credentials || undefined,
  };
}

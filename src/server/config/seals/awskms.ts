/** `seal "awskms"`: a key in AWS KMS. Source followed: Vault's page of this seal, and the order of its AWS credentials. */

import type { Fields } from './fields.ts';

export type AwsIdentitySettings =
  | {
      readonly kind: 'keys';
      readonly accessKey: string;
      readonly secretKey: string;
      readonly sessionToken: string;
    }
  | {
      readonly kind: 'token';
      readonly file: string;
      readonly role: string;
      readonly session: string;
      readonly sts: string;
    }
  | { readonly kind: 'agent'; readonly url: string; readonly tokenFile: string; readonly token: string }
  | { readonly kind: 'machine' };

export interface AwsKmsSettings {
  readonly kind: 'awskms';
  readonly region: string;
  readonly keyId: string;
  /** URL of KMS, without a slash at the end. */
  readonly endpoint: string;
  readonly identity: AwsIdentitySettings;
}

export const AWSKMS_KEYS: readonly string[] = [
  'region',
  'access_key',
  'secret_key',
  'session_token',
  'kms_key_id',
  'endpoint',
  'role_arn',
  'role_session_name',
  'web_identity_token_file',
  'shared_creds_filename',
  'shared_creds_profile',
  'instance_metadata',
];

/** @throws Failure config.invalid */
export function readAwsKms(fields: Fields): AwsKmsSettings {
  const region = fields.shaped(
    'region',
    fields.text('region', [], ['AWS_REGION', 'AWS_DEFAULT_REGION']) || 'us-east-1',
    /^[a-z]{2}(-[a-z]{2,16}){1,3}-\d{1,2}$/,
    'Write region = "eu-central-1", or the one that the key is in.',
  );
  const keyId = fields.required(
    'kms_key_id',
    'Write kms_key_id = the id or the ARN of the key, or "alias/..." for an alias.',
    ['AWSKMS_WRAPPER_KEY_ID', 'VAULT_AWSKMS_SEAL_KEY_ID'],
  );
  for (const key of ['shared_creds_filename', 'shared_creds_profile'])
    if (fields.text(key) !== '')
      throw fields.refused(
        `does not read AWS's shared files (${key})`,
        'Give access_key and secret_key by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a web_identity_token_file.',
      );
  const address = (key: string, value: string): string =>
    fields.address(key, value, `Write ${key} = "https://...", or leave it out.`);
  return {
    kind: 'awskms',
    region,
    keyId: fields.shaped(
      'kms_key_id',
      keyId,
      /^[\w:/=+@.-]{1,2048}$/,
      'Write the id or the ARN of the key, or "alias/..." for an alias.',
    ),
    endpoint: address('endpoint', fields.text('endpoint', ['AWS_KMS_ENDPOINT']) || hostOf('kms', region)),
    identity: identityOf(fields, (value) => address('AWS_ENDPOINT_URL_STS', value || hostOf('sts', region))),
  };
}

const hostOf = (service: string, region: string): string =>
  `https://${service}.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;

function identityOf(fields: Fields, stsOf: (value: string) => string): AwsIdentitySettings {
  const file = ['access_key', 'secret_key'].some((key) => fields.text(key) !== '');
  // One of each would be a key that nobody was given.
  const [accessKey, secretKey, sessionToken] = file
    ? [fields.text('access_key'), fields.text('secret_key'), fields.text('session_token')]
    : [
        fields.env('AWS_ACCESS_KEY_ID', 'AWS_ACCESS_KEY'),
        fields.env('AWS_SECRET_ACCESS_KEY', 'AWS_SECRET_KEY'),
        fields.text('session_token', [], ['AWS_SESSION_TOKEN']),
      ];
  if ((accessKey === '') !== (secretKey === ''))
    throw fields.refused(
      `has no ${accessKey === '' ? 'access_key' : 'secret_key'}`,
      'Give both, in the file or in the environment.',
    );
  if (accessKey !== '') return { kind: 'keys', accessKey, secretKey, sessionToken };

  const token = fields.text('web_identity_token_file', [], ['AWS_WEB_IDENTITY_TOKEN_FILE']);
  const role = fields.text('role_arn', [], ['AWS_ROLE_ARN']);
  if ((token === '') !== (role === ''))
    throw fields.refused(
      `has no ${token === '' ? 'web_identity_token_file' : 'role_arn'}`,
      'A role is taken with the token of a service account: give both.',
    );
  if (token !== '')
    return {
      kind: 'token',
      file: token,
      role,
      session: fields.text('role_session_name', [], ['AWS_ROLE_SESSION_NAME']) || 'holdfast-seal',
      sts: stsOf(fields.env('AWS_ENDPOINT_URL_STS')),
    };

  if (!fields.truth('instance_metadata'))
    throw fields.refused(
      'has nobody to ask as',
      'Give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE; for the role of the machine or of EKS Pod Identity write instance_metadata = "true".',
    );
  return agentOf(fields) ?? { kind: 'machine' };
}

/** Where ECS and EKS keep the role's credentials: fixed addresses, or this machine, and nothing else. */
function agentOf(fields: Fields): AwsIdentitySettings | undefined {
  const relative = fields.env('AWS_CONTAINER_CREDENTIALS_RELATIVE_URI');
  const url =
    relative === '' ? fields.env('AWS_CONTAINER_CREDENTIALS_FULL_URI') : `http://169.254.170.2${relative}`;
  if (url === '') return undefined;
  const { protocol = '', hostname = '' } = URL.canParse(url) ? new URL(url) : {};
  const isAgent = /^(169\.254\.170\.(2|23)|\[fd00:ec2::23\]|127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(
    hostname,
  );
  if (!isAgent || !/^https?:$/.test(protocol))
    throw fields.refused(
      'is to ask for credentials where no agent of AWS is (AWS_CONTAINER_CREDENTIALS_FULL_URI)',
      'ECS and EKS set it themselves: leave it as they do.',
    );
  return {
    kind: 'agent',
    url,
    tokenFile: fields.env('AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'),
    token: fields.env('AWS_CONTAINER_AUTHORIZATION_TOKEN'),
  };
}

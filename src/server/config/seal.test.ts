import { describe, expect, test } from 'vitest';
import { Failure } from '../../base/errors.ts';
import { readServerConfig } from './config.ts';
import type { SealsSettings } from './seal.ts';

const BASE = 'storage "inmem" {}\nlistener "tcp" { tls_disable = true }\n';
const KEY = 'key_name = "unseal"\n mount_path = "/transit/"\n';
const TRANSIT = `seal "transit" {\n address = "https://vault:8200/"\n token = "canary-token"\n ${KEY}}\n`;
type Env = Readonly<Record<string, string>>;

const config = (text: string, env: Env = {}) =>
  readServerConfig([{ name: 'vault.hcl', text: BASE + text }], env);
const seals = (text: string, env?: Env): SealsSettings => config(text, env).seals;
function refused(text: string, env?: Env): string {
  try {
    config(text, env);
  } catch (error) {
    if (error instanceof Failure) return `${error.message} | ${error.hint}`;
    throw error;
  }
  return 'read';
}

test('without a seal, and with seal "shamir", people hold the shares', () => {
  for (const text of ['', 'seal "shamir" {}'])
    expect(seals(text)).toEqual({ active: undefined, retired: undefined });
});

describe('seal "transit"', () => {
  test('is read whole, without the slashes that people put around paths', () => {
    const text = `seal "transit" {
      address = "https://vault:8200"
      token = "s.x"
      ${KEY} namespace = "/ns1/"
      disable_renewal = "true"
      tls_ca_cert = "/ca.pem"
      tls_client_cert = "/me.pem"
      tls_client_key = "/me.key"
      tls_server_name = "vault"
      tls_skip_verify = "false"
    }`;
    expect(seals(text).active).toEqual({
      kind: 'transit',
      address: 'https://vault:8200',
      token: 's.x',
      keyName: 'unseal',
      mountPath: 'transit',
      namespace: 'ns1',
      renew: false,
      tls: { ca: '/ca.pem', cert: '/me.pem', key: '/me.key', serverName: 'vault', skipVerify: false },
    });
  });

  test("the seal's own variables stand above the file; those of every client only fill what it leaves out", () => {
    const env = {
      VAULT_ADDR: 'http://127.0.0.1:8200',
      VAULT_TOKEN: 'client',
      VAULT_CACERT: '/client-ca.pem',
      VAULT_TRANSIT_SEAL_KEY_NAME: 'other',
      VAULT_TRANSIT_SEAL_DISABLE_RENEWAL: 'true',
    };
    expect(seals(TRANSIT, env).active).toMatchObject({
      address: 'https://vault:8200',
      token: 'canary-token',
      keyName: 'other',
      renew: false,
      tls: { ca: '/client-ca.pem' },
    });
    expect(seals(`seal "transit" {\n${KEY}}`, env).active).toMatchObject({
      address: 'http://127.0.0.1:8200',
      token: 'client',
    });
    expect(seals(TRANSIT, { VAULT_TRANSIT_SEAL_TOKEN: 'own' }).active).toMatchObject({ token: 'own' });
  });

  test('a way without TLS is told, but on this machine', () => {
    const notes = (address: string) => config(TRANSIT.replace('https://vault:8200/', address)).notes.join();
    expect(notes('http://vault:8200')).toContain('in the clear');
    expect(notes('http://127.0.0.1:8200')).not.toContain('in the clear');
    expect(notes('http://127.0.0.1.example.com:8200')).toContain('in the clear');
  });

  test.each([
    [
      'no key_name',
      TRANSIT.replace('key_name = "unseal"', ''),
      'vault.hcl:3: seal "transit" has no key_name',
    ],
    ['no mount_path', TRANSIT.replace('/transit/', '/'), 'vault.hcl:3: seal "transit" has no mount_path'],
    ['no address', `seal "transit" {\n${KEY}}`, 'vault.hcl:3: seal "transit" has no address of a server'],
    ['half a certificate', TRANSIT.replace('}\n', 'tls_client_key = "k"\n}\n'), 'has no tls_client_cert'],
    [
      'a key that is not known',
      TRANSIT.replace('key_name', 'keyname'),
      '"keyname" is not known in seal "transit"',
    ],
  ])('%s is refused by its line', (_name, text, wanted) => {
    expect(refused(text)).toContain(wanted);
  });

  test('an address that holds a password is refused and not repeated', () => {
    const text = refused(TRANSIT.replace('https://', 'https://me:canary-12@'));
    expect(text).toContain('has no address of a server');
    expect(text).not.toContain('canary-12');
  });
});

describe('the seals of the clouds', () => {
  const AWS = 'seal "awskms" {\n kms_key_id = "alias/unseal"\n}\n';
  const KEYS = { AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'canary-secret' };
  const GCP = (more = '') =>
    `seal "gcpckms" {\n project = "p"\n region = "europe-west3"\n key_ring = "r"\n crypto_key = "k"\n${more}}\n`;
  const AZURE = (more = '') => `seal "azurekeyvault" {\n vault_name = "v"\n key_name = "k"\n${more}}\n`;
  const IDS = { AZURE_TENANT_ID: 't', AZURE_CLIENT_ID: 'c' };

  test('awskms takes its key from the environment first, and its region from the file first', () => {
    const text = AWS.replace('}', ' region = "eu-central-1"\n}');
    expect(seals(text, { ...KEYS, VAULT_AWSKMS_SEAL_KEY_ID: 'own', AWS_REGION: 'us-west-2' }).active).toEqual(
      {
        kind: 'awskms',
        region: 'eu-central-1',
        keyId: 'own',
        endpoint: 'https://kms.eu-central-1.amazonaws.com',
        identity: { kind: 'keys', accessKey: 'AKIA', secretKey: 'canary-secret', sessionToken: '' },
      },
    );
    expect(seals(AWS, { ...KEYS, AWS_DEFAULT_REGION: 'cn-north-1' }).active).toMatchObject({
      endpoint: 'https://kms.cn-north-1.amazonaws.com.cn',
    });
    expect(
      seals('', { ...KEYS, VAULT_SEAL_TYPE: 'awskms', VAULT_AWSKMS_SEAL_KEY_ID: 'k' }).active,
    ).toMatchObject({
      keyId: 'k',
      region: 'us-east-1',
    });
  });

  test('awskms asks as a role for a token in a file; as the machine only where the file says so', () => {
    const irsa = { AWS_ROLE_ARN: 'arn:aws:iam::1:role/r', AWS_WEB_IDENTITY_TOKEN_FILE: '/t' };
    expect(seals(AWS, irsa).active).toMatchObject({
      identity: { kind: 'token', file: '/t', sts: 'https://sts.us-east-1.amazonaws.com' },
    });
    expect(refused(AWS)).toContain('has nobody to ask as');
    const machine = AWS.replace('}', ' instance_metadata = "true"\n}');
    expect(seals(machine).active).toMatchObject({ identity: { kind: 'machine' } });
    const agent = (url: string) => ({ AWS_CONTAINER_CREDENTIALS_FULL_URI: url });
    expect(seals(machine, agent('http://169.254.170.23/v1/credentials')).active).toMatchObject({
      identity: { kind: 'agent' },
    });
    expect(refused(machine, agent('http://evil.example.com/'))).toContain('no agent of AWS');
  });

  test('gcpckms and azurekeyvault are read whole', () => {
    expect(seals(GCP(), { GOOGLE_CREDENTIALS: '/c.json', GOOGLE_REGION: 'global' }).active).toEqual({
      kind: 'gcpckms',
      project: 'p',
      region: 'global',
      keyRing: 'r',
      cryptoKey: 'k',
      endpoint: 'https://cloudkms.googleapis.com',
      credentials: '/c.json',
    });
    const env = { ...IDS, AZURE_CLIENT_SECRET: 'canary-secret', AZURE_ENVIRONMENT: 'AzureUSGovernmentCloud' };
    expect(seals(AZURE(), env).active).toEqual({
      kind: 'azurekeyvault',
      vault: 'https://v.vault.usgovcloudapi.net',
      keyName: 'k',
      authority: 'https://login.microsoftonline.us',
      identity: { kind: 'secret', tenant: 't', client: 'c', secret: 'canary-secret' },
    });
    expect(seals(AZURE(), { ...IDS, AZURE_FEDERATED_TOKEN_FILE: '/t' }).active).toMatchObject({
      identity: { kind: 'token', file: '/t' },
    });
  });

  test.each<[string, string, Env, string]>([
    ['half a key', AWS, { AWS_ACCESS_KEY_ID: 'AKIA' }, 'has no secret_key'],
    ['no key', 'seal "awskms" {}', KEYS, 'has no kms_key_id'],
    [
      'a region that is a host',
      AWS.replace('}', ' region = "evil.com/"\n}'),
      KEYS,
      'has a region that is none',
    ],
    ['a way in the clear', AWS, { ...KEYS, AWS_KMS_ENDPOINT: 'http://kms.example.com' }, 'in the clear'],
    ['nobody to ask as', GCP(), {}, 'has nobody to ask as'],
    [
      'a path for a name',
      GCP('credentials = "/c"\n').replace('"k"', '"a/b"'),
      {},
      'has a crypto_key that is none',
    ],
    [
      'a vault that is an address',
      AZURE().replace('"v"', '"evil.com/"'),
      IDS,
      'has a vault_name that is none',
    ],
    ['a cloud that there is not', AZURE('environment = "x"\n'), IDS, 'in an environment that there is not'],
    ['a secret beside what it protects', 'seal "kubernetes" {}', {}, 'keeps the key beside what it protects'],
    ['no file', 'seal "file" {}', {}, 'has no path'],
  ])('%s is refused', (_name, text, env, wanted) => {
    const told = refused(text, env);
    expect(told).toContain(wanted);
    expect(told).not.toContain('canary');
  });

  test('a way in the clear is taken to this machine', () => {
    expect(seals(AWS, { ...KEYS, AWS_KMS_ENDPOINT: 'http://127.0.0.1:5000/' }).active).toMatchObject({
      endpoint: 'http://127.0.0.1:5000',
    });
  });
});

describe('two stanzas', () => {
  const OLD = TRANSIT.replace('}\n', ' disabled = "true"\n}\n');

  test('the disabled one is what the store is moved away from', () => {
    for (const text of [OLD, `${OLD}seal "shamir" {}`]) {
      const read = seals(text);
      expect(read.active).toBeUndefined();
      expect(read.retired).toMatchObject({ keyName: 'unseal' });
    }
  });

  test.each([
    ['two that guard', `${TRANSIT}seal "shamir" {}`, 'two seals are to guard one store'],
    ['two that are disabled', `${OLD}${OLD}`, 'two seals are disabled'],
    ['two of one type', `${OLD}${TRANSIT}`, 'in one step'],
    ['shares that are disabled', 'seal "shamir" { disabled = true }', 'Shamir seals cannot be set disabled'],
    [
      'a kind that nobody knows',
      'seal "enigma" {}',
      'there is no seal "enigma": there are "transit", "awskms"',
    ],
  ])('%s are refused', (_name, text, wanted) => {
    expect(refused(text)).toContain(wanted);
  });
});

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

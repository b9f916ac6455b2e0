import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../base/errors.ts';
import { readServerConfig } from './config.ts';
import { allows, egressRule } from './egress.ts';

const read = (text: string, env: Record<string, string> = {}) =>
  readServerConfig([{ name: 'vault.hcl', text }], env);

/** Message and mend, as the person at the terminal gets them. */
function refusedAs(text: string, env: Record<string, string> = {}): string {
  try {
    read(text, env);
  } catch (error) {
    if (error instanceof Failure) return `${error.message} | ${error.hint}`;
    throw error;
  }
  return 'accepted';
}

const STORE = 'storage "lmdb" { path = "/data" }\n';
const PLAIN = 'listener "tcp" { tls_disable = true }\n';
const WHOLE = STORE + PLAIN;

/** As charts of Vault write it for one node, with a boolean as text. */
const STANDALONE = `ui = true
storage "raft" {
  path    = "/vault/data"
  node_id = "vault-0"
}
listener "tcp" {
  address         = "0.0.0.0:8200"
  tls_disable     = "true"      # DEMO ONLY
  telemetry {
    unauthenticated_metrics_access = true
  }
}
`;

test('the configuration of one node with raft is kept in lmdb at its path, and says so', () => {
  const config = read(STANDALONE);
  expect(config.storage).toEqual({ kind: 'lmdb', path: '/vault/data' });
  expect(config.listeners).toEqual([{ host: '0.0.0.0', port: 8200, tls: undefined, openMetrics: true }]);
  expect(config.notes).toContain('storage "raft" with one node is kept as storage "lmdb" in /vault/data.');
});

test('a cluster is refused in one sentence that names the storage for it, by its line', () => {
  const cluster = `listener "tcp" {
  address = "[::]:8200"
  cluster_address = "[::]:8201"
  tls_disable = "true"
}
storage "raft" {
  path = "/vault/data"
  retry_join {
    leader_api_addr = "http://vault-0.vault-internal:8200"
  }
}
`;
  expect(refusedAs(cluster)).toMatch(/^vault\.hcl:8: .*"postgresql"/);
});

const SEEDS = new URL('../../../../shared/seeds/', import.meta.url);
const seed = (name: string): string => readFileSync(new URL(name, SEEDS), 'utf8');

/** The block scalar under `key: |`, without its indent. */
function blockUnder(document: string, key: string, from = 0): string {
  const lines = document.split('\n');
  const start = lines.findIndex((line, at) => at >= from && line.trim() === `${key}: |`);
  const indent = /^ */.exec(lines[start + 1] ?? '')?.[0].length ?? 0;
  const end = lines.findIndex((line, at) => at > start && line.trim() !== '' && line.search(/\S/) < indent);
  return lines
    .slice(start + 1, end)
    .map((line) => line.slice(indent))
    .join('\n');
}

describe.skipIf(!existsSync(SEEDS))('the seed documents', () => {
  test('the first: one node is taken, with the demo settings it has', () => {
    const config = read(blockUnder(seed('000_06b3664b2c8f2b3a.txt'), 'config'));
    expect(config.storage).toEqual({ kind: 'lmdb', path: '/vault/data' });
    expect(config.listeners).toEqual([{ host: '0.0.0.0', port: 8200, tls: undefined, openMetrics: true }]);
  });

  test('the first, with TLS: the chart leaves the storage out, and the file alone is refused for it', () => {
    const text = seed('000_06b3664b2c8f2b3a.txt');
    const from = text.split('\n').findIndex((line) => line.includes('HA mode with Raft'));
    const config = blockUnder(text, 'config', from);
    expect(refusedAs(config)).toMatch(/^the configuration names no storage/);
    expect(read(config + STORE).listeners[0]?.tls).toEqual({
      cert: '/vault/tls/tls.crt',
      key: '/vault/tls/tls.key',
      clientCa: undefined,
      minVersion: 'TLSv1.2',
      clients: 'ask',
    });
  });

  test('the third: three nodes are refused by the line of the first retry_join, and without them its seal', () => {
    const text = blockUnder(seed('002_0f27848a527b5671.txt'), 'vault.hcl');
    expect(refusedAs(text)).toMatch(/^vault\.hcl:12: .*"postgresql"/);
    const alone = text.replace(/^ {2}retry_join \{\n.*\n {2}\}\n/gm, '');
    const people = read(alone);
    expect(people.seals).toEqual({
      active: {
        kind: 'transit',
        address: 'https://vault-auto-unseal.pnats.cloud:8200',
        token: '',
        keyName: 'autounseal',
        mountPath: 'transit',
        namespace: '',
        renew: false,
        tls: { ca: undefined, cert: undefined, key: undefined, serverName: undefined, skipVerify: true },
      },
      retired: undefined,
    });
    expect(people.notes.join()).toMatch(/does not verify whom.*has no token/);
    expect(people.registration).toEqual({ namespace: undefined, pod: undefined });
    const nodes = { host: '::', port: 8201 };
    expect(people.listeners).toEqual([
      { host: '::', port: 8200, clusterAddress: nodes, tls: undefined, openMetrics: false },
    ]);
  });
});

test.each([
  [
    'an unknown key, with the one that was meant',
    `${WHOLE}log_levle = "info"`,
    'vault.hcl:3: "log_levle" is not known | Did you mean "log_level"?',
  ],
  [
    'an unknown key of a listener',
    `${STORE}listener "tcp" {\n  tls_min_verison = "tls13"\n}`,
    'vault.hcl:3: "tls_min_verison" is not known in listener "tcp" | Did you mean "tls_min_version"?',
  ],
  [
    'a key that is like no other',
    `${WHOLE}zzzzqqqq = 1`,
    'vault.hcl:3: "zzzzqqqq" is not known | Remove it: docs/server.md lists every key.',
  ],
  [
    'a setting given twice',
    `${WHOLE}api_addr = "http://a"\napi_addr = "http://b"`,
    'vault.hcl:4: "api_addr" is given a second time | Keep one of them.',
  ],
  ['two storages', WHOLE + STORE, 'vault.hcl:3: "storage" is given a second time | Keep one of them.'],
  [
    'the other word for storage as well',
    `${WHOLE}backend "lmdb" {}`,
    'vault.hcl:3: "backend" is another word for "storage", which is given as well | Keep one of them.',
  ],
  [
    'no storage',
    PLAIN,
    'the configuration names no storage | Write storage "lmdb" { path = "/var/lib/holdfast" }.',
  ],
  [
    'a storage without a path',
    `storage "lmdb" {}\n${PLAIN}`,
    'vault.hcl:1: storage "lmdb" has no path | Name the folder: path = "/var/lib/holdfast".',
  ],
  [
    'a storage that there is not',
    `storage "consul" {}\n${PLAIN}`,
    'vault.hcl:1: there is no storage "consul" | Write storage "lmdb" { path = "..." }: one node, in a folder of its own.',
  ],
  [
    'a database that is not named',
    `storage "postgresql" {}\n${PLAIN}`,
    'vault.hcl:1: storage "postgresql" has no connection_url | Write connection_url = "postgresql://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full".',
  ],
  [
    'a database with too many connections',
    `storage "postgresql" {\n connection_url = "postgres://u:p@db/x"\n max_parallel = 0\n}\n${PLAIN}`,
    'vault.hcl:1: max_parallel is not a number from 1 to 1000 | Write max_parallel = "16".',
  ],
  [
    'a listener without a certificate',
    `${STORE}listener "tcp" {}`,
    'vault.hcl:2: the listener has no tls_cert_file | Name both files, or write tls_disable = true where something in front of it ends TLS.',
  ],
  [
    'a listener without a key',
    `${STORE}listener "tcp" { tls_cert_file = "a" }`,
    'vault.hcl:2: the listener has no tls_key_file | Name both files, or write tls_disable = true where something in front of it ends TLS.',
  ],
  [
    'a broken TLS version',
    `${STORE}listener "tcp" { tls_cert_file = "a"\n tls_key_file = "b"\n tls_min_version = "tls10" }`,
    'vault.hcl:4: tls_min_version "tls10" is not offered | Write "tls12" or "tls13": what is older is broken.',
  ],
  [
    'required client certificates of nobody',
    `${STORE}listener "tcp" { tls_cert_file = "a"\n tls_key_file = "b"\n tls_require_and_verify_client_cert = true }`,
    'vault.hcl:4: client certificates are required, and no authority for them is named | Add tls_client_ca_file.',
  ],
  [
    'an address without a port',
    `${STORE}listener "tcp" { address = "0.0.0.0" }`,
    'vault.hcl:2: the address is not HOST:PORT | Write address = "0.0.0.0:8200", or "[::]:8200" for every address of either version.',
  ],
  [
    'a boolean that is none',
    `${STORE}listener "tcp" { tls_disable = "yes" }`,
    'vault.hcl:2: "tls_disable" in listener "tcp" takes true or false | Write tls_disable = true or tls_disable = false.',
  ],
  [
    'a listener of another kind',
    `${STORE}listener "unix" {}`,
    'vault.hcl:2: there is no listener "unix" | Write listener "tcp" { ... }.',
  ],
  [
    'a seal without its key',
    `${WHOLE}seal "awskms" {}`,
    'vault.hcl:3: seal "awskms" has no kms_key_id | Write kms_key_id = the id or the ARN of the key, or "alias/..." for an alias.',
  ],
  [
    'a wrong way out',
    `${WHOLE}egress { allow = ["https://example.com"] }`,
    'vault.hcl:3: "https://example.com" is not an address to allow | Write "HOST:PORT", "10.0.0.0/8:5432", "[fd00::/8]:5432" or "unix:/run/collector.sock".',
  ],
  [
    'text that is no configuration',
    `${WHOLE}listener "tcp" {`,
    'vault.hcl: line 3, column 17: the text ends inside a block | To mend it: close it with "}".',
  ],
  [
    'a log level that there is not',
    `${WHOLE}log_level = "loud"`,
    'there is no log level "loud" | Write debug, info, warn or error.',
  ],
])('%s is refused in one line', (_name, text, wanted) => {
  expect(refusedAs(text)).toBe(wanted);
  expect(wanted).not.toContain('\n');
});

test('tls_disable = "false" does not open a plain listener', () => {
  expect(refusedAs(`${STORE}listener "tcp" { tls_disable = "false" }`)).toContain('no tls_cert_file');
});

test('the example of deploy/ is taken without a word', () => {
  const example = new URL('../../../deploy/examples/server.hcl', import.meta.url);
  const config = read(readFileSync(example, 'utf8'));
  expect(config.notes).toEqual([]);
  expect(config.egress.rules).toEqual([{ to: 'db.internal', port: 5432 }]);
});

test('the life of leases is read in either spelling, and a default never outlives the longest', () => {
  const hour = 3_600_000;
  expect(read(WHOLE).ttl).toEqual({ defaultMs: 768 * hour, maxMs: 768 * hour });
  expect(read(`${WHOLE}max_lease_ttl = 3600`).ttl).toEqual({ defaultMs: hour, maxMs: hour });
  expect(read(`${WHOLE}default_lease_ttl = "1h"\nmax_lease_ttl = "2h"`).ttl).toEqual({
    defaultMs: hour,
    maxMs: 2 * hour,
  });
  expect(refusedAs(`${WHOLE}default_lease_ttl = "3h"\nmax_lease_ttl = "2h"`)).toMatch(/^vault\.hcl:3: /);
  expect(refusedAs(`${WHOLE}max_lease_ttl = "soon"`)).toContain('takes a duration');
});

test('a listener that names no address is not reachable from outside', () => {
  expect(read(WHOLE).listeners[0]?.host).toBe('127.0.0.1');
});

test('files of a folder are one configuration, and a setting of two files is refused by the second', () => {
  const files = [
    { name: 'a.hcl', text: STORE },
    { name: 'b.json', text: '{"listener": [{"tcp": {"tls_disable": 1}}]}' },
  ];
  expect(readServerConfig(files, {}).listeners).toHaveLength(1);
  expect(() => readServerConfig([...files, { name: 'c.hcl', text: STORE }], {})).toThrow('c.hcl:1:');
});

test('the environment stands above the file, and a password in an address is refused and not repeated', () => {
  const env = { VAULT_API_ADDR: 'https://vault.example.com:8200' };
  expect(read(`${WHOLE}api_addr = "http://other"`, env).apiAddress).toBe(env.VAULT_API_ADDR);
  const text = refusedAs(WHOLE, { VAULT_API_ADDR: 'https://me:canary-11@host' });
  expect(text).toContain('not the URL of a server');
  expect(text).not.toContain('canary-11');
});

test('a database is read whole, the environment stands above its URL, and no refusal repeats a word of it', () => {
  const store = (more: string): string => `storage "postgresql" {\n${more}\n}\n${PLAIN}`;
  const url = 'connection_url = "postgres://u:p@db.internal/vault?sslmode=verify-full"';
  const text = store(
    `${url}\n table = "secrets"\n max_parallel = "64"\n ha_enabled = "true"\n ha_table = "locks"`,
  );
  const config = readServerConfig([{ name: 'vault.hcl', text }], {});
  expect(config.storage).toMatchObject({
    kind: 'postgresql',
    target: { host: 'db.internal', port: 5432, user: 'u', password: 'p', tls: { mode: 'verify-full' } },
    table: 'secrets',
    maxParallel: 64,
  });
  expect(config.notes).toEqual(['ha_table of storage "postgresql" is not used.']);
  const env = { VAULT_PG_CONNECTION_URL: 'postgres://other@elsewhere/x' };
  expect(readServerConfig([{ name: 'vault.hcl', text }], env).storage).toMatchObject({
    target: { host: 'elsewhere' },
  });
  const wrong = store('connection_url = "host=db user=u password=canary"');
  expect(refusedAs(wrong)).toMatch(
    /^vault\.hcl:1: the connection_url cannot be used: it does not read postgresql:/,
  );
  expect(refusedAs(wrong)).not.toContain('canary');
  expect(refusedAs(store(`${url}\n table = "a b; DROP"`))).toMatch(/^vault\.hcl:1: the table of storage/);
});

test('no text makes the reader fail otherwise than by a row of the table', () => {
  const word = fc.constantFrom(
    'listener',
    'storage',
    'seal',
    'egress',
    '"tcp"',
    '"raft"',
    '{',
    '}',
    '=',
    '[',
    ']',
    ',',
    'true',
    '"x:1"',
    '1',
    '\n',
    'tls_disable',
    'path',
    'allow',
    'telemetry',
    'service_registration',
    '__proto__',
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 25 }), (words) => {
      const text = refusedAs(words.join(' '));
      expect(text === 'accepted' || text.includes(' | ')).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

describe('the way out', () => {
  const at = (host: string, ip: string, port: number) => ({ host, ip, port });
  test.each([
    ['db.internal:5432', at('DB.internal', '10.0.0.9', 5432), true],
    ['db.internal:5432', at('db.internal', '10.0.0.9', 5433), false],
    ['db.internal:5432', at('other.internal', '10.0.0.9', 5432), false],
    ['10.0.0.0/8:443', at('any.name', '10.200.0.1', 443), true],
    ['10.0.0.0/8:443', at('any.name', '11.0.0.1', 443), false],
    ['10.0.0.7:443', at('10.0.0.7', '10.0.0.7', 443), true],
    ['10.0.0.7:443', at('name', '::ffff:10.0.0.7', 443), true],
    ['[fd00::/8]:443', at('name', 'fd12::1', 443), true],
    ['[fd00::/8]:443', at('name', 'fe80::1', 443), false],
  ])('%s and %j: %s', (text, where, wanted) => {
    const rule = egressRule(text);
    expect(rule).toBeDefined();
    expect(allows(rule === undefined ? [] : [rule], where)).toBe(wanted);
  });

  test.each([
    '',
    'db',
    'db:0',
    'db:70000',
    '*:443',
    '10.0.0.0/33:443',
    '10.0.0:443',
    'fd00::1:443',
    '[db]:443',
    'a b:1',
    '10.0.0.0/8/8:1',
    'http://db:1',
  ])('%j is no rule', (text) => expect(egressRule(text)).toBeUndefined());

  test('an empty list allows nothing', () => {
    expect(allows([], at('127.0.0.1', '127.0.0.1', 443))).toBe(false);
  });
});

test('sockets of this machine stand in the list beside addresses', () => {
  const { egress } = read(`${WHOLE}egress { allow = ["unix:/run/collector.sock", "10.0.0.0/8:514"] }`);
  expect(egress.sockets).toEqual(['/run/collector.sock']);
  expect(egress.rules).toHaveLength(1);
});

test('the address for other nodes is read, and the environment stands above it', () => {
  const text = `${WHOLE}cluster_addr = "https://10.0.0.1:8201"`;
  expect(read(text).clusterAddress).toBe('https://10.0.0.1:8201');
  expect(read(text, { VAULT_CLUSTER_ADDR: 'https://10.0.0.2:8201' }).clusterAddress).toBe(
    'https://10.0.0.2:8201',
  );
  expect(read(text, { BAO_CLUSTER_ADDR: 'https://10.0.0.3:8201' }).clusterAddress).toBe(
    'https://10.0.0.3:8201',
  );
  expect(refusedAs(`${WHOLE}cluster_addr = "nowhere"`)).toMatch(/^cluster_addr is not the URL of a server/);
});

test('telemetry is read, and what would be sent elsewhere is told', () => {
  const text = `${WHOLE}telemetry { prometheus_retention_time = "30s" disable_hostname = true }`;
  expect(read(text).notes).toEqual(read(WHOLE).notes);
  expect(read(`${WHOLE}telemetry { statsd_address = "x:1" }`).notes.join()).toContain(
    'statsd_address is not used',
  );
  expect(refusedAs(`${WHOLE}telemetry { prometheus_retention = "30s" }`)).toContain(
    'is not known in telemetry',
  );
  expect(refusedAs(`${WHOLE}telemetry { prometheus_retention_time = "soon" }`)).toContain('takes a duration');
});

test('user_lockout of a method stands above that of all, field by field, and can be turned off', () => {
  const { lockout } = read(`${WHOLE}
user_lockout "all" { lockout_threshold = "10" lockout_duration = "10m" }
user_lockout "userpass" { lockout_threshold = 25 lockout_counter_reset = "5m" }
user_lockout "ldap" { disable_lockout = "true" }`);
  expect(lockout.get('approle')).toEqual({ threshold: 10, durationMs: 600_000, resetMs: 900_000 });
  expect(lockout.get('userpass')).toEqual({ threshold: 25, durationMs: 600_000, resetMs: 300_000 });
  expect(lockout.get('ldap')?.threshold).toBe(Number.POSITIVE_INFINITY);
  expect(read(WHOLE).lockout.get('userpass')).toEqual({
    threshold: 5,
    durationMs: 900_000,
    resetMs: 900_000,
  });
  expect(read(WHOLE, { VAULT_DISABLE_USER_LOCKOUT: 'true' }).lockout.get('userpass')?.threshold).toBe(
    Number.POSITIVE_INFINITY,
  );
  expect(refusedAs(`${WHOLE}user_lockout "jwt" {}`)).toContain('there is no user_lockout "jwt"');
  expect(refusedAs(`${WHOLE}user_lockout "all" { lockout_threshold = 0 }`)).toContain('at least 1');
  expect(refusedAs(`${WHOLE}user_lockout "all" {}\nuser_lockout "all" {}`)).toContain('a second time');
});

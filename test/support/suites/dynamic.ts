/**
 * Keys of engines that issue, in ordinary ExternalSecrets, as a person sees them with kubectl: accounts of a database and
 * certificates, from our own server, through stores of each kind.
 */

import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, type TestPlatform } from '../platform.ts';
import { type AgreeableRedis, issueAccounts, startAgreeableRedis } from '../redis.ts';
import { byAccount, entry, makeTeam, type Team, textsOf } from '../team.ts';

const CREDS = 'database/creds/app';

/** @param start a platform of its own: over the embedded Kubernetes API, or over a real one */
export function dynamicSuite(start: () => Promise<TestPlatform>): void {
  let platform: TestPlatform;
  let team: Team;
  let redis: AgreeableRedis;

  beforeAll(async () => {
    redis = await startAgreeableRedis();
    platform = await start();
    team = await makeTeam(platform, 'shop');
    const write = (path: string, body: object) => platform.root.request('PUT', path, { body });
    await issueAccounts(write, redis);
    await write('sys/mounts/pki', { type: 'pki', config: { max_lease_ttl: '8760h' } });
    await write('pki/root/generate/internal', { common_name: 'Shop CA', ttl: '8760h' });
    await write('pki/roles/web', {
      allowed_domains: 'shop.example',
      allow_subdomains: true,
      max_ttl: '720h',
    });
  });
  afterAll(async () => {
    await platform?.stop();
    await redis?.close();
  });

  const kubectl = (line: string): Promise<string> => team.kubectl.ok(`${line} -n shop`);
  const accounts = (): string[] => {
    const there = new Set<string>();
    for (const [, verb, name = ''] of redis.heard.filter(([command]) => command === 'ACL')) {
      if (verb === 'SETUSER') there.add(name);
      if (verb === 'DELUSER') there.delete(name);
    }
    return [...there];
  };
  const pair = [
    entry('username', CREDS, 'username'),
    entry('password', CREDS, 'password'),
    entry('ttl', CREDS, 'lease_duration'),
    entry('lease', CREDS, 'lease_id'),
    entry('renewable', CREDS, 'renewable'),
  ];
  const holding = (name: string, key: string): Promise<Record<string, string>> =>
    eventually(`Secret ${name} holds ${key}`, async () => {
      const secret = await team.secret(name);
      const texts = secret === undefined ? {} : textsOf(secret);
      return texts[key] === undefined ? undefined : texts;
    });

  /** A store that is given a token with the policy of its name. @returns the token */
  const storeOfToken = async (name: string, block: object): Promise<string> => {
    const answer = await platform.root.request('PUT', 'auth/token/create', {
      body: { policies: [name], period: '24h' },
    });
    const token = answer.envelope?.auth?.clientToken ?? '';
    const server = 'http://vault.vault-system.svc.cluster.local:8200';
    const given = `${name}-given`;
    const auth = { tokenSecretRef: { name: given, key: 'token' } };
    await team.kubectl.apply(
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: given, namespace: 'shop' },
        stringData: { token },
      },
      {
        apiVersion: 'external-secrets.io/v1',
        kind: 'SecretStore',
        metadata: { name, namespace: 'shop' },
        spec: { provider: { vault: { server, auth, ...block } } },
      },
    );
    return token;
  };

  test('gives a pair that matches, from one account, and what its envelope says as plain texts', async () => {
    await team.externalSecret('pair', { data: pair });
    const { username = '', password = '', ...rest } = await holding('pair', 'username');
    const made = redis.heard.filter((words) => words.includes('SETUSER') && words.includes(username));
    expect(made).toHaveLength(1);
    expect(made[0]?.join(' ')).toContain(password);
    expect(rest).toEqual({
      ttl: '3600',
      lease: expect.stringMatching(/^database\/creds\/app\/[A-Za-z0-9]+$/),
      renewable: 'true',
    });
    await team.says('pair', /^True SecretSynced: secret synced$/);
    expect(accounts()).toContain(username);
    const report = JSON.parse(await kubectl('get syncreport pair -o json'));
    expect(report.status).toMatchObject({
      sources: [{ store: 'SecretStore/vault', key: CREDS, from: 'Engine' }],
      leases: [{ key: CREDS, leaseId: rest['lease'], renewable: true }],
    });
    const columns = await kubectl('get sr pair');
    expect(columns).toMatch(
      /^NAME\s+EXPIRES\s+LEASE\s+AGE\npair\s+\d{4}-\S+Z\s+database\/creds\/app\/\S+\s+\d+s$/,
    );
  });

  test('gives the same pair over refreshes, and a new one by force-sync; the old account waits for its grace', async () => {
    await team.externalSecret('forced', { data: pair });
    const first = await holding('forced', 'username');
    await kubectl('annotate es forced team=blue');
    await kubectl('delete secret forced');
    expect(await holding('forced', 'username')).toEqual(first);
    await kubectl('annotate es forced force-sync=1');
    const second = await eventually('another account', async () => {
      const texts = await holding('forced', 'username');
      return texts['username'] === first['username'] ? undefined : texts;
    });
    expect(accounts()).toEqual(expect.arrayContaining([first['username'], second['username']]));
    await kubectl('delete es forced');
    await eventually('both accounts are gone', () => {
      const there = accounts();
      return [first, second].every(({ username = '' }) => !there.includes(username)) || undefined;
    });
    expect(await kubectl('get syncreport -o name')).not.toContain('/forced');
  });

  test('is taken whole by dataFrom, without its envelope', async () => {
    await team.externalSecret('whole', { dataFrom: [{ extract: { key: CREDS } }] });
    expect(Object.keys(await holding('whole', 'username')).sort()).toEqual(['password', 'username']);
  });

  test('needs no right on the path where a stored secret of that name would be', async () => {
    await team.externalSecret('other', { data: [entry('x', 'secret/shop/none', 'x')] });
    await platform.root.request('PUT', 'sys/policies/acl/narrow', {
      body: { policy: `path "${CREDS}" { capabilities = ["read"] }` },
    });
    await platform.root.request('PUT', 'auth/kubernetes/role/narrow', {
      body: {
        bound_service_account_names: ['external-secrets'],
        bound_service_account_namespaces: ['shop'],
        audience: 'vault',
        token_policies: ['narrow'],
        token_ttl: '1h',
      },
    });
    await team.kubectl.apply(
      {
        apiVersion: 'external-secrets.io/v1',
        kind: 'SecretStore',
        metadata: { name: 'narrow', namespace: 'shop' },
        spec: byAccount('narrow', 'external-secrets'),
      },
      {
        apiVersion: 'external-secrets.io/v1',
        kind: 'ExternalSecret',
        metadata: { name: 'narrow', namespace: 'shop' },
        spec: { secretStoreRef: { name: 'narrow' }, data: pair },
      },
    );
    await holding('narrow', 'username');
    // What it may not have at all is still refused with the mend for the stored secret.
    await kubectl(
      `patch es narrow --type merge -p '{"spec":{"data":[{"secretKey":"x","remoteRef":{"key":"database/creds/other"}}]}}'`,
    );
    await team.says('narrow', /^False SecretSyncedError: .*permission denied.*\[provider\.denied\]/);
  });

  const child = 'path "auth/token/create" { capabilities = ["update"] }';
  const lease = 'path "sys/leases/revoke" { capabilities = ["update"] }';
  for (const [version, more, how] of [
    ['v1', child, 'under a child of that token'],
    ['v2', child, 'under a child of that token'],
    ['v1', lease, 'by that token itself where it may have no child, and taken back by the lease alone'],
    ['v2', lease, 'by that token itself where it may have no child, and taken back by the lease alone'],
  ] as const)
    test(`is read through a store of version ${version} that is given a token, ${how}`, async () => {
      const name = `token-${version}-${more === child ? 'child' : 'itself'}`;
      const policy = `path "${CREDS}" { capabilities = ["read"] }\n${more}`;
      await platform.root.request('PUT', `sys/policies/acl/${name}`, { body: { policy } });
      const token = await storeOfToken(name, { version });
      await team.externalSecret(name, { secretStoreRef: { name }, data: pair });
      const { username = '' } = await holding(name, 'username');
      await kubectl(`delete es ${name}`);
      await eventually('the account is gone', () => !accounts().includes(username) || undefined);
      const alive = platform.root.with({ token });
      expect((await alive.request('GET', 'auth/token/lookup-self')).status).toBe(200);
    });

  test('is read by a token that may read it and nothing else, as manifests elsewhere have it, and kept over refreshes', async () => {
    const name = 'token-narrow';
    await platform.root.request('PUT', `sys/policies/acl/${name}`, {
      body: { policy: `path "${CREDS}" { capabilities = ["read"] }` },
    });
    const token = await storeOfToken(name, { version: 'v1' });
    await team.externalSecret(name, { secretStoreRef: { name }, refreshInterval: '1s', data: pair });
    const first = await holding(name, 'username');
    await kubectl(`delete secret ${name}`);
    expect(await holding(name, 'username')).toEqual(first);
    await kubectl(`delete es ${name}`);
    await eventually('its record is gone', async () =>
      (await kubectl('get syncreport -o name')).includes(`/${name}\n`) ? undefined : true,
    );
    // Nobody may revoke the lease, so it runs out; the token is not touched.
    const alive = await platform.root.request('PUT', 'auth/token/lookup', { body: { token } });
    expect(alive.status).toBe(200);
    expect(accounts()).toContain(first['username']);
  });

  test('that is written says both ways to name its parameters, and takes either', async () => {
    const tls = (key: string) => [
      entry('tls.crt', key, 'certificate'),
      entry('tls.key', key, 'private_key'),
      entry('ca.crt', key, 'issuing_ca'),
    ];
    await team.externalSecret('tls', { data: tls('pki/issue/web') });
    await team.says(
      'tls',
      /^False SecretSyncedError: .*pki\/issue\/web is written, not read: .*"pki\/issue\/web\?common_name=app\.example\.com".*holdfast\.dev\/parameters.*VaultDynamicSecret/,
    );
    await kubectl(
      `annotate es tls 'holdfast.dev/parameters=pki/issue/web?common_name=one.shop.example&ttl=48h'`,
    );
    const one = await holding('tls', 'tls.crt');
    const certificate = new X509Certificate(one['tls.crt'] ?? '');
    expect(certificate.subject).toBe('CN=one.shop.example');
    expect(certificate.publicKey.export({ format: 'pem', type: 'spki' })).toBeTruthy();
    const report = JSON.parse(await kubectl('get syncreport tls -o json'));
    const [lease] = report.status.leases;
    const life = Date.parse(lease.expireTime) - Date.parse(lease.issueTime);
    expect(Date.parse(lease.reissueTime) - Date.parse(lease.issueTime)).toBeCloseTo(life / 2, -4);

    await team.externalSecret('query', { data: tls('pki/issue/web?common_name=two.shop.example&ttl=24h') });
    const two = await holding('query', 'tls.crt');
    expect(new X509Certificate(two['tls.crt'] ?? '').subject).toBe('CN=two.shop.example');
    // One write for all three entries: the key is that of the certificate.
    expect(new X509Certificate(two['tls.crt'] ?? '').toString()).toBe(two['tls.crt']?.trimEnd().concat('\n'));
  });

  test('that the server refuses says so in the words of the server', async () => {
    await team.externalSecret('refused', {
      data: [entry('a', 'pki/issue/web?common_name=evil.example.com', 'certificate')],
    });
    await team.says('refused', /^False SecretSyncedError: .*evil\.example\.com/);
  });

  test('leaves no secret in the log, the audit trail, a report or an event', async () => {
    const { password = '' } = await holding('pair', 'password');
    expect(password.length).toBeGreaterThan(8);
    const texts = [
      await platform.logged(),
      await platform.audited(),
      await kubectl('get syncreports,es,events -o yaml'),
    ];
    for (const text of texts) expect(text).not.toContain(password);
    expect(await platform.logged()).not.toMatch(/hvs\.[A-Za-z0-9]{10}/);
  });
}

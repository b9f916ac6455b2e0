/** Lists that are put together elsewhere and signed here, and what is told of everything that was issued. */

import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../../base/clock.ts';
import { readPem } from '../../../crypto/x509/certificate.ts';
import { mountForTest, type TestMount } from '../../../plugin/testing.ts';
import { readList } from '../crl.ts';
import { pki } from '../index.ts';

const run = promisify(execFile);
const openssl = (...args: string[]) => run('openssl', args).then(({ stdout, stderr }) => stdout + stderr);
const hasOpenssl = await openssl('version').then(
  () => true,
  () => false,
);
if (!hasOpenssl) process.stderr.write('openssl is not on this machine: signed lists are not read by it\n');

let mount: TestMount;
let clock: ManualClock;
let root: string;
beforeEach(async () => {
  clock = new ManualClock();
  mount = mountForTest(pki(), { path: 'pki/', clock });
  root = (await write('root/generate/internal', { common_name: 'Root', key_type: 'ec', ttl: '700h' }))
    .certificate;
  await write('roles/web', { allow_any_name: true, key_type: 'ec' });
});
const write = async (path: string, body: object) => (await mount.call('write', path, body)).data;
const refused = (path: string, body: object) =>
  mount.call('write', path, body).then(
    () => 'taken',
    (error: Error) => error.message,
  );
const listOf = (pem: string) => readList(readPem(pem)?.[0]?.der ?? Buffer.alloc(0));
const SIGN = 'issuer/default/sign-revocation-list';
const RESIGN = 'issuer/default/resign-crls';

describe('a list that is given', () => {
  test('is signed as it stands, with extensions of its own', async () => {
    const { crl } = await write(SIGN, {
      crl_number: 7,
      revoked_certs: [
        {
          serial_number: 'AA:bb',
          revocation_time: '2026-01-01T00:00:00Z',
          extensions: [{ id: '2.5.29.21', value: 'CgEB' }],
        },
        { serial_number: '0c-dd', revocation_time: 1_700_000_000 },
      ],
      extensions: [{ id: '1.2.3', critical: 'false', value: 'BQA=' }],
    });
    expect(listOf(crl).revoked).toEqual([
      { serial: 'aa:bb', at: Date.UTC(2026, 0, 1) },
      { serial: '0c:dd', at: 1_700_000_000_000 },
    ]);
    if (!hasOpenssl) return;
    const folder = await mkdtemp(join(tmpdir(), 'crl-'));
    try {
      await writeFile(join(folder, 'ca'), root);
      await writeFile(join(folder, 'crl'), crl);
      const text = await openssl(
        ...['crl', '-noout', '-text', '-CAfile', join(folder, 'ca'), '-in', join(folder, 'crl')],
      );
      for (const part of ['verify OK', 'AABB', '0CDD', 'Key Compromise', 'X509v3 CRL Number', '1.2.3'])
        expect(text).toContain(part);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test.each([
    [{ crl_number: -1 }, 'crl_number parameter must be 0 or greater'],
    [{ delta_crl_base_number: -2 }, 'delta_crl_base_number parameter must be -1 or greater'],
    [{ next_update: '0s' }, 'next_update parameter must be greater than 0'],
    [{ format: 'x' }, 'unknown format value of x'],
    [
      { revoked_certs: [{ serial_number: 'zz', revocation_time: 1 }] },
      'failed parsing serial_number from entry 0',
    ],
    [{ revoked_certs: [{ serial_number: 'aa', revocation_time: 'soon' }] }, 'failed parsing revocation_time'],
    [
      {
        revoked_certs: [
          { serial_number: 'aa', revocation_time: 1 },
          { serial_number: 'A:A', revocation_time: 1 },
        ],
      },
      'duplicate serial number: aa, original entry 0 and 1',
    ],
    [
      { extensions: [{ id: '2.5.29.20', value: '' }] },
      'crl number object identifier (2.5.29.20) is reserved',
    ],
    [{ extensions: [{ id: 'x', value: '' }] }, "'id' is no object identifier"],
    [{ extensions: [{ id: '1.2.3', value: '***' }] }, "failed base64 decoding 'value' field"],
    [
      {
        extensions: [
          { id: '1.2.3', value: '' },
          { id: '1.2.3', value: '' },
        ],
      },
      'duplicate extension id: 1.2.3',
    ],
  ])('%j is refused', async (body, why) => {
    expect(await refused(SIGN, body)).toContain(why);
  });

  test('is signed by no issuer that may not sign lists', async () => {
    await write('issuer/default', { usage: 'read-only,issuing-certificates' });
    for (const path of [SIGN, RESIGN]) expect(await refused(path, {})).toMatch(/requested usage crl-signing/);
  });
});

describe('lists of this issuer', () => {
  const given = async (entries: object[]): Promise<string> =>
    (await write(SIGN, { crl_number: 1, revoked_certs: entries })).crl;

  test('become one, in which a certificate is revoked from the first time on', async () => {
    const crls = [
      await given([
        { serial_number: 'aa', revocation_time: 2000 },
        { serial_number: 'bb', revocation_time: 3000 },
      ]),
      await given([
        { serial_number: 'aa', revocation_time: 1000 },
        { serial_number: 'cc', revocation_time: 4000 },
      ]),
    ];
    const made = await mount.call('write', RESIGN, {
      crls,
      crl_number: 9,
      next_update: '24h',
      format: 'der',
    });
    const list = readList(Buffer.from(made.data.crl, 'base64'));
    expect([...list.revoked].sort((a, b) => (a.serial < b.serial ? -1 : 1))).toEqual([
      { serial: 'aa', at: 1_000_000 },
      { serial: 'bb', at: 3_000_000 },
      { serial: 'cc', at: 4_000_000 },
    ]);
    expect(made.warnings[0]).toMatch(/Duplicate serial aa with different revocation times/);
  });

  test('are taken only where this issuer signed them', async () => {
    const crl = await given([{ serial_number: 'aa', revocation_time: 2000 }]);
    await write('root/generate/internal', {
      common_name: 'Root',
      key_type: 'ec',
      ttl: '600h',
      issuer_name: 'other',
    });
    expect(await refused('issuer/other/resign-crls', { crls: [crl] })).toContain(
      'CRL index: 0 was not signed by requested issuer',
    );
    const bytes = readPem(crl)?.[0]?.der ?? Buffer.alloc(0);
    bytes[60] = (bytes[60] ?? 0) ^ 1;
    const forged = `-----BEGIN X509 CRL-----\n${bytes.toString('base64')}\n-----END X509 CRL-----`;
    expect(await refused(RESIGN, { crls: [forged] })).not.toBe('taken');
    for (const crls of [['x'], [root], [`${crl}${crl}`]])
      expect(await refused(RESIGN, { crls })).toMatch(/failed decoding crl 0/);
  });
});

test('what was issued is listed with what stands in it', async () => {
  const leaf = await write('issue/web', { common_name: 'a.test', alt_names: 'b.test,c@d.test', ttl: '1h' });
  const { keys, key_info } = (await mount.call('list', 'certs/detailed')).data;
  expect(keys).toHaveLength(2);
  expect(key_info[leaf.serial_number]).toEqual({
    common_name: 'a.test',
    dns_names: ['a.test', 'b.test'],
    issuer: 'CN=Root',
    key_type: 'ec',
    key_bits: 256,
    not_before: new Date(leaf.not_before * 1000).toISOString().replace('.000', ''),
    not_after: new Date(leaf.expiration * 1000).toISOString().replace('.000', ''),
  });
});

/**
 * The Google provider against drongo, a Secret Manager that is not ours, from PyPI. It asks nobody for tokens; those are
 * verified in the provider's own test, whose Google gives them here.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { NO_WAY_OUT } from '../../src/provider/egress.ts';
import { extract } from '../../src/provider/property.ts';
import type { Provider, Value } from '../../src/provider/provider.ts';
import { findings, meta, object, testEnv, textAt } from '../../src/provider/testing.ts';
import { createGcpProvider } from '../../src/providers/gcp/gcp.ts';
import { gcpSpec } from '../../src/providers/gcp/spec.ts';
import { type FakeGoogle, startFakeGoogle } from '../../src/providers/gcp/testing.ts';
import { createDial } from '../../src/server/http/dial.ts';
import { freePort } from '../support/ports.ts';
import { findPython } from '../support/python.ts';

const python = await findPython('drongo');
if ('missing' in python) console.warn(`SKIPPED test/real/gcp-provider: ${python.missing}`);

describe.skipIf('missing' in python)('the Google provider on drongo', () => {
  let child: ChildProcess;
  let url: string;
  let google: FakeGoogle;
  let provider: Provider;

  const connect = (spec: object = {}): Promise<Provider> => {
    const auth = { secretRef: { secretAccessKeySecretRef: { name: 'gcp', key: 'key.json' } } };
    return createGcpProvider({
      endpoints: (service) => (service === 'secretmanager' ? url : google.endpoint(service)),
    }).connect(
      gcpSpec.parse({ projectID: 'shop-prod', auth, ...spec }),
      testEnv({
        secretKey: async () => utf8(google.key()),
        wayOut: {
          ...NO_WAY_OUT,
          dial: createDial({ target: (host, port) => ({ host, port }), allow: () => true }),
        },
      }),
    );
  };

  beforeAll(async () => {
    google = await startFakeGoogle();
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const run = [
      '-c',
      'from drongo.cli import main; main()',
      'server',
      '--host',
      '127.0.0.1',
      '-p',
      String(port),
    ];
    child = spawn('command' in python ? python.command : '', run, { stdio: 'ignore' });
    for (const end = Date.now() + 60_000; ; ) {
      const answers = await fetch(`${url}/v1/projects/p/secrets`).then(
        () => true,
        () => false,
      );
      if (answers) break;
      if (Date.now() > end) throw new Error('drongo does not answer');
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    provider = await connect();
  }, 90_000);
  afterAll(async () => {
    await provider?.close();
    child?.kill('SIGKILL');
    await google?.close();
  });

  test('a push is read, found, left alone by others, updated, and taken away', async () => {
    const key = 'life';
    const metadata = meta({ labels: { env: 'prod' } });
    const us = { owner: 'us', metadata };
    expect(await provider.validate()).toBe('ready');
    expect(await provider.get({ key })).toBeUndefined();
    expect(await provider.metadata?.({ key })).toBeUndefined();
    expect(await provider.put?.({ key }, object({ a: '1' }), us)).toBe('written');
    expect(await provider.put?.({ key }, object({ a: '1' }), us)).toBe('unchanged');
    expect(await textAt(provider, key, 'a')).toBe('1');
    expect(await provider.metadata?.({ key })).toMatchObject({
      labels: { env: 'prod', 'managed-by': 'external-secrets', 'holdfast-pushed-by': 'us' },
    });
    expect(await findings(provider, { tags: { env: 'prod' } })).toEqual([key]);
    expect(await findings(provider, { tags: { env: 'pro' } })).toEqual([]);
    const stolen = provider.put?.({ key }, object({ a: '2' }), { owner: 'them' });
    await expect(stolen).rejects.toMatchObject({ code: 'provider.foreign' });
    expect(await provider.put?.({ key }, object({ b: '2' }), us)).toBe('written');
    const read = await provider.get({ key });
    expect([...extract(read?.value as Value, '', key).keys()]).toEqual(['b']);
    expect(read?.version).toBe('2');
    expect(await provider.delete?.({ key }, { owner: 'them' })).toBe('foreign');
    expect(await provider.delete?.({ key }, { owner: 'us' })).toBe('deleted');
    expect(await provider.get({ key })).toBeUndefined();
    expect(await provider.delete?.({ key }, { owner: 'us' })).toBe('absent');
  });

  test('"latest", no version and a number; a key without a property gives every byte', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    await provider.put?.({ key: 'versions' }, { bytes: utf8('old') }, { owner: 'us' });
    await provider.put?.({ key: 'versions' }, { bytes }, { owner: 'us' });
    for (const version of [undefined, 'latest', '2']) {
      const read = await provider.get({ key: 'versions', ...(version === undefined ? {} : { version }) });
      expect(read).toEqual({ value: { bytes: Buffer.from(bytes) }, version: '2' });
    }
    expect(await textAt(provider, 'versions', '', '1')).toBe('old');
    expect(await provider.get({ key: 'versions', version: '3' })).toBeUndefined();
  });

  test('a key that begins with a slash is refused in plain words, and is nothing to the service either', async () => {
    const key = '/prod/lambda/db-password';
    const words = expect.stringContaining('names have letters, digits, - and _ alone');
    await expect(provider.get({ key })).rejects.toMatchObject({ code: 'provider.spec', message: words });
    const pushed = provider.put?.({ key }, { bytes: utf8('x') }, { owner: 'us' });
    await expect(pushed).rejects.toMatchObject({ code: 'provider.push', message: words });
    const asked = await fetch(`${url}/v1/projects/shop-prod/secrets/${key}/versions/latest:access`);
    expect(asked.status).toBe(404);
  });

  test('properties are pushed and taken away one by one', async () => {
    for (const property of ['a', 'b'])
      await provider.put?.({ key: 'parts', property }, { bytes: utf8(property) }, { owner: 'us' });
    expect(await textAt(provider, 'parts')).toBe('{"a":"a","b":"b"}');
    expect(await provider.delete?.({ key: 'parts', property: 'a' }, { owner: 'us' })).toBe('deleted');
    expect(await textAt(provider, 'parts')).toBe('{"b":"b"}');
  });

  test('a search reads each of many', async () => {
    const names = Array.from({ length: 25 }, (_, i) => `many-${String(i).padStart(2, '0')}`);
    for (const key of names) await provider.put?.({ key }, { bytes: utf8(key) }, { owner: 'us' });
    expect((await findings(provider, { name: '^many-' })).sort()).toEqual(names);
    expect((await findings(provider, { path: 'many-1', name: '.' })).sort()).toEqual(names.slice(10, 20));
  });
});

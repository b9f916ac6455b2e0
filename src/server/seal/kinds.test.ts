/** What each kind of seal has of its own: keys, identities, files; what the suite of all seals does not know of. */

import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { awsDouble } from '../../../test/support/kms/aws.ts';
import { azureDouble } from '../../../test/support/kms/azure.ts';
import { askOf } from '../../../test/support/kms/double.ts';
import {
  awsRig,
  azureRig,
  CHEAP,
  fileRig,
  googleRig,
  kubernetesRig,
} from '../../../test/support/kms/rigs.ts';
import { base64, hex, utf8 } from '../../base/bytes.ts';
import { isFailure } from '../../base/errors.ts';
import { randomKey } from '../../crypto/random.ts';
import type { Ask } from './ask.ts';
import { awsCredentials } from './aws-identity.ts';
import { awsKms } from './awskms.ts';
import { azureKeyVault } from './azurekeyvault.ts';
import { decodeWrapped, encodeWrapped } from './blob.ts';
import { fileSeal } from './file.ts';
import { googleIdentity, googleMachine } from './google-identity.ts';
import { sealOf } from './keyservice.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-kinds-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const put = (name: string, content: string | Uint8Array, mode = 0o600): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
};
const rootKey = randomKey(32);

describe('what the store keeps', () => {
  test('comes back as it was, and nothing else is taken for it', () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 600 });
    const text = fc.string({ minLength: 1, maxLength: 100 });
    fc.assert(
      fc.property(text, text, text, bytes, (type, key, version, data) => {
        const blob = encodeWrapped(type, { key, version, data });
        expect(decodeWrapped(type, blob)).toEqual({ key, version, data: Buffer.from(data) });
        expect(decodeWrapped(`${type}2`, blob)).toBeUndefined();
        expect(decodeWrapped(type, blob.subarray(0, blob.length - 1))).toBeUndefined();
      }),
    );
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (given) => {
        expect(decodeWrapped('awskms', utf8(given))).toBeUndefined();
      }),
    );
  });
});

describe('seal "awskms"', () => {
  test('names its purpose to KMS, and asks to unwrap with the one key that wrapped', async () => {
    const rig = awsRig('alias/unseal');
    const wrapped = await rig.seal().wrap(rootKey);
    rig.double.turnAlias();
    await rig.seal().unwrap(wrapped);
    expect(
      rig.double.requests.map(({ headers, body }) => [headers['x-amz-target'], JSON.parse(body)]),
    ).toEqual([
      [
        'TrentService.Encrypt',
        expect.objectContaining({ KeyId: 'alias/unseal', EncryptionContext: { holdfast: 'root key' } }),
      ],
      [
        'TrentService.Decrypt',
        expect.objectContaining({ KeyId: rig.double.arn, EncryptionContext: { holdfast: 'root key' } }),
      ],
    ]);
  });

  test('does not ask for a key of somebody else that a store names, but for the same key in another region', async () => {
    const rig = awsRig();
    const wrapped = decodeWrapped('awskms', await rig.seal().wrap(rootKey));
    const named = (key: string) =>
      encodeWrapped('awskms', { version: '', data: new Uint8Array(), ...wrapped, key });
    const asked = rig.double.requests.length;
    const theirs = 'arn:aws:kms:eu-central-1:999999999999:key/00000000-0000-0000-0000-000000000000';
    const error: unknown = await rig
      .seal()
      .unwrap(named(theirs))
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'seal.lost_key',
      cause: expect.objectContaining({ code: 'seal.other_key' }),
    });
    expect((error as Error).message).not.toContain('999999999999');
    expect(rig.double.requests).toHaveLength(asked);
    const elsewhere = rig.double.arn.replace('eu-central-1', 'us-east-1');
    expect(Buffer.from((await rig.seal().unwrap(named(elsewhere))) ?? [])).toEqual(rootKey);
  });

  test('takes no key in the name of another one when it unwraps', async () => {
    const rig = awsRig();
    const wrapped = await rig.seal().wrap(rootKey);
    rig.double.fault = 'forged';
    await expect(rig.seal().unwrap(wrapped)).rejects.toMatchObject({ code: 'seal.refused' });
  });

  test('tells the log what AWS said where no key was sent, and never where one was', async () => {
    const rig = awsRig();
    const wrapped = await rig.seal().wrap(rootKey);
    rig.double.deny();
    const cause = async (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => 'done',
        (error: Error) => String(error.cause instanceof Error ? error.cause.message : ''),
      );
    expect(await cause(rig.seal().unwrap(wrapped))).toContain('is not authorized to perform: kms:Decrypt');
    expect(await cause(rig.seal().wrap(rootKey))).toBe('');
  });

  const identified = (
    ask: Ask,
    double: ReturnType<typeof awsDouble>,
    identity: Parameters<typeof awsCredentials>[2],
  ) =>
    sealOf(
      awsKms({
        ask,
        region: 'eu-central-1',
        endpoint: 'https://kms.eu-central-1.amazonaws.com',
        keyId: double.keyId,
        credentials: awsCredentials(ask, 'eu-central-1', identity),
      }),
    );

  test('asks as the role that STS gives for the token in a file, read anew for each', async () => {
    const double = awsDouble();
    const file = put('token', 'an old one');
    const identity = {
      kind: 'token',
      file,
      role: double.roleArn,
      session: 'holdfast-seal',
      sts: 'https://sts.eu-central-1.amazonaws.com',
    } as const;
    await expect(identified(askOf(double), double, identity).wrap(rootKey)).rejects.toMatchObject({
      code: 'seal.refused',
      message: expect.stringContaining('InvalidIdentityToken'),
    });
    put('token', `${double.webToken}\n`);
    const seal = identified(askOf(double), double, identity);
    expect(Buffer.from((await seal.unwrap(await seal.wrap(rootKey))) ?? [])).toEqual(rootKey);
    rmSync(file);
    await expect(identified(askOf(double), double, identity).wrap(rootKey)).rejects.toMatchObject({
      message: expect.stringContaining('the file with its token is missing'),
    });
  });

  /** The services of a machine that give it its role, before KMS. */
  const machine = (
    double: ReturnType<typeof awsDouble>,
    answers: Readonly<Record<string, string>>,
    seen: string[],
  ): Ask => {
    const kms = askOf(double);
    return async (request) => {
      const { host } = new URL(request.url);
      if (!host.startsWith('169.254.')) return kms(request);
      const text = `${request.method} ${request.url} ${JSON.stringify(request.headers)}`;
      seen.push(text);
      const found = Object.entries(answers).find(([start]) => text.startsWith(start));
      return found === undefined
        ? { status: 404, body: new Uint8Array(0) }
        : { status: 200, body: utf8(found[1]) };
    };
  };
  const given = ({ accessKey, secretKey }: ReturnType<typeof awsDouble>) =>
    JSON.stringify({
      Code: 'Success',
      AccessKeyId: accessKey,
      SecretAccessKey: secretKey,
      Token: 't',
      Expiration: new Date(Date.now() + 3_600_000).toISOString(),
    });
  const ROLES = 'GET http://169.254.169.254/latest/meta-data/iam/security-credentials/';

  test('asks as the role of the machine, by the second version of its metadata service', async () => {
    const double = awsDouble();
    const seen: string[] = [];
    const ask = machine(
      double,
      {
        'PUT http://169.254.169.254/latest/api/token': 'session-token',
        [`${ROLES} {"x-aws-ec2-metadata-token":"session-token"}`]: 'unseal-role\n',
        [`${ROLES}unseal-role {"x-aws-ec2-metadata-token":"session-token"}`]: given(double),
      },
      seen,
    );
    const seal = identified(ask, double, { kind: 'machine' });
    expect(Buffer.from((await seal.unwrap(await seal.wrap(rootKey))) ?? [])).toEqual(rootKey);
    expect(seen).toHaveLength(3);
  });

  test('asks as the role that an agent gives for the token in its file', async () => {
    const double = awsDouble();
    const url = 'http://169.254.170.23/v1/credentials';
    const ask = machine(double, { [`GET ${url} {"authorization":"pod-token"}`]: given(double) }, []);
    const seal = identified(ask, double, { kind: 'agent', url, tokenFile: put('t', 'pod-token'), token: '' });
    expect(Buffer.from((await seal.unwrap(await seal.wrap(rootKey))) ?? [])).toEqual(rootKey);
    await expect(
      identified(ask, double, { kind: 'agent', url, tokenFile: '', token: 'x' }).wrap(rootKey),
    ).rejects.toMatchObject({ code: 'seal.refused', message: expect.stringContaining('HTTP 404') });
  });

  test('a machine without a role, or with garbage for one, is told', async () => {
    const double = awsDouble();
    for (const answers of [
      { 'PUT http://169.254.169.254/latest/api/token': 'x', [ROLES]: '<html>' },
      { 'PUT http://169.254.169.254/latest/api/token': 'x', [ROLES]: 'role' },
    ])
      await expect(
        identified(machine(double, answers, []), double, { kind: 'machine' }).wrap(rootKey),
      ).rejects.toMatchObject({ code: 'seal.refused' });
  });
});

describe('seal "gcpckms"', () => {
  test('asks for what was damaged on the way again, and takes none of it', async () => {
    const rig = await googleRig();
    const wrapped = await rig.seal().wrap(rootKey);
    rig.double.damaged = true;
    for (const work of [rig.seal().wrap(rootKey), rig.seal().unwrap(wrapped)])
      await expect(work).rejects.toMatchObject({
        code: 'seal.unreachable',
        message: expect.stringContaining('damaged on the way'),
      });
  });

  test('takes no answer that does not say that the checksums were verified', async () => {
    const rig = await googleRig();
    const ask = askOf(rig.double);
    const silent: Ask = async (request) => {
      const answer = await ask(request);
      const { verifiedPlaintextCrc32c: _, ...rest } = JSON.parse(Buffer.from(answer.body).toString());
      return { ...answer, body: utf8(JSON.stringify(rest)) };
    };
    const { gcpKms } = await import('./gcpckms.ts');
    const identity = await googleIdentity(put('c.json', rig.double.credentials));
    const { project, keyRing, cryptoKey } = rig.double;
    const options = {
      ask: silent,
      endpoint: 'https://cloudkms.googleapis.com',
      project,
      keyRing,
      cryptoKey,
      identity,
    };
    await expect(sealOf(gcpKms({ ...options, region: 'europe-west3' })).wrap(rootKey)).rejects.toMatchObject({
      code: 'seal.refused',
    });
  });

  test.each([
    ['nothing', ''],
    ['no JSON', 'x'],
    [
      'the key of a person',
      '{"type":"authorized_user","client_id":"x","client_secret":"x","refresh_token":"x"}',
    ],
    [
      'a program to run',
      '{"type":"external_account","audience":"a","subject_token_type":"t","token_url":"https://sts.googleapis.com/v1/token","credential_source":{"executable":{"command":"/bin/sh"}}}',
    ],
  ])('takes no credentials of %s', async (_what, text) => {
    await expect(googleIdentity(put('c.json', text))).rejects.toMatchObject({ code: 'config.refused' });
  });

  test('a key of a service account that is none is told without a word of it', async () => {
    const path = put(
      'c.json',
      '{"type":"service_account","client_email":"a@b","private_key":"canary-private","private_key_id":"1"}',
    );
    const identity = await googleIdentity(path);
    const error: unknown = await identity
      .token(async () => expect.fail('nobody is asked'), new AbortController().signal)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'seal.refused' });
    expect(String((error as Error).stack)).not.toContain('canary-private');
  });

  test('a federated identity gives the token in its file to Google and asks as what it gets, by our way out alone', async () => {
    const file = put('subject', 'canary-subject-token');
    const path = put(
      'c.json',
      JSON.stringify({
        type: 'external_account',
        audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x',
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_url: 'https://sts.googleapis.com/v1/token',
        credential_source: { file },
      }),
    );
    const identity = await googleIdentity(path);
    expect(identity.asks).toEqual(['https://sts.googleapis.com/v1/token']);
    const seen: string[] = [];
    const ask: Ask = async ({ url, body = '' }) => {
      seen.push(url);
      expect(new URLSearchParams(body).get('subject_token')).toBe('canary-subject-token');
      return {
        status: 200,
        body: utf8(
          '{"access_token":"ya29.x","expires_in":3600,"token_type":"Bearer","issued_token_type":"x"}',
        ),
      };
    };
    expect(await identity.token(ask, new AbortController().signal)).toBe('ya29.x');
    expect(seen).toEqual(['https://sts.googleapis.com/v1/token']);
    const again = await googleIdentity(path);
    const refusing: Ask = async () => ({ status: 400, body: utf8('{"error":"invalid_grant"}') });
    await expect(again.token(refusing, new AbortController().signal)).rejects.toMatchObject({
      code: 'seal.refused',
    });
  });

  test('the metadata server gives the token of the machine', async () => {
    const ask: Ask = async ({ url, headers }) => {
      expect([url, headers['metadata-flavor']]).toEqual([
        'http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token',
        'Google',
      ]);
      return { status: 200, body: utf8('{"access_token":"ya29.m","expires_in":3599,"token_type":"Bearer"}') };
    };
    expect(await googleMachine.token(ask, new AbortController().signal)).toBe('ya29.m');
    for (const [status, body, code] of [
      [200, '{}', 'seal.refused'],
      [404, '', 'seal.refused'],
      [503, '', 'seal.unreachable'],
    ] as const)
      await expect(
        googleMachine.token(async () => ({ status, body: utf8(body) }), new AbortController().signal),
      ).rejects.toMatchObject({ code });
  });
});

describe('seal "azurekeyvault"', () => {
  test('still unwraps with a key that has expired, as Key Vault does', async () => {
    const rig = azureRig();
    const wrapped = await rig.seal().wrap(rootKey);
    rig.double.expired = true;
    expect(Buffer.from((await rig.seal().unwrap(wrapped)) ?? [])).toEqual(rootKey);
  });

  test('keeps the version that wrapped, and never sends a key without a token', async () => {
    const rig = azureRig();
    const wrapped = decodeWrapped('azurekeyvault', await rig.seal().wrap(rootKey));
    expect(wrapped).toMatchObject({
      key: 'https://holdfast.vault.azure.net/keys/unseal',
      version: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    for (const { body, headers } of rig.double.requests.filter(({ body }) => body.includes('RSA-OAEP')))
      expect([body !== '', headers['authorization']]).toEqual([true, expect.stringMatching(/^Bearer /)]);
  });

  test('shows its token to no challenge of another domain', async () => {
    const rig = azureRig();
    rig.double.challengeFor = 'evil.example.com';
    await expect(rig.seal().wrap(rootKey)).rejects.toMatchObject({ code: 'seal.refused' });
    expect(rig.double.requests.filter(({ url }) => url.pathname.endsWith('/token'))).toEqual([]);
  });

  test('takes no key in the name of another one when it unwraps', async () => {
    const rig = azureRig();
    const wrapped = await rig.seal().wrap(rootKey);
    rig.double.fault = 'forged';
    await expect(rig.seal().unwrap(wrapped)).rejects.toMatchObject({ code: 'seal.refused' });
  });

  const VAULT = 'https://holdfast.vault.azure.net';
  const AUTHORITY = 'https://login.microsoftonline.com';

  test('asks with the token in a file, and tells what Entra ID says of a wrong one by its code', async () => {
    const double = azureDouble(VAULT, AUTHORITY);
    const { tenant, client, keyName } = double;
    const seal = (file: string) =>
      sealOf(
        azureKeyVault({
          ask: askOf(double),
          vault: VAULT,
          authority: AUTHORITY,
          keyName,
          identity: { kind: 'token', tenant, client, file },
        }),
      );
    const right = seal(put('assertion', double.assertion));
    expect(Buffer.from((await right.unwrap(await right.wrap(rootKey))) ?? [])).toEqual(rootKey);
    await expect(seal(put('wrong', 'canary-wrong')).wrap(rootKey)).rejects.toMatchObject({
      code: 'seal.refused',
      message: expect.stringContaining('AADSTS7000215'),
    });
    await expect(seal(join(folder, 'none')).wrap(rootKey)).rejects.toMatchObject({ code: 'seal.refused' });
  });

  test('asks as the identity of the machine', async () => {
    const double = azureDouble(VAULT, AUTHORITY);
    const vault = askOf(double);
    const seen: string[] = [];
    let token = '';
    const ask: Ask = async (request) => {
      if (!request.url.startsWith('http://169.254.169.254/')) {
        // The double takes the token that its own Entra ID gives: fetched here for the machine.
        return vault(request);
      }
      seen.push(`${request.url} ${request.headers['metadata']}`);
      const body = new URLSearchParams({
        client_id: double.client,
        client_secret: double.secret,
        scope: 'https://vault.azure.net/.default',
      }).toString();
      const given = await vault({
        url: `${AUTHORITY}/${double.tenant}/oauth2/v2.0/token`,
        method: 'POST',
        headers: {},
        body,
        signal: request.signal,
      });
      token = JSON.parse(Buffer.from(given.body).toString()).access_token;
      const answer = { access_token: token, expires_on: String(Math.floor(Date.now() / 1000) + 3600) };
      return { status: 200, body: utf8(JSON.stringify(answer)) };
    };
    const identity = { kind: 'machine', client: double.client } as const;
    const options = { ask, vault: VAULT, authority: AUTHORITY, keyName: double.keyName, identity };
    const seal = sealOf(azureKeyVault(options));
    expect(Buffer.from((await seal.unwrap(await seal.wrap(rootKey))) ?? [])).toEqual(rootKey);
    expect(seen[0]).toBe(
      `http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net&client_id=${double.client} true`,
    );
  });
});

describe('seal "kubernetes"', () => {
  test('a Secret that was deleted is never made anew by anything but a store that is put under it', async () => {
    const rig = kubernetesRig();
    const seal = rig.seal();
    await expect(seal.wrap(rootKey)).rejects.toMatchObject({ code: 'seal.refused' });
    await seal.prepare?.();
    const wrapped = await seal.wrap(rootKey);
    await seal.prepare?.();
    expect(Buffer.from((await seal.unwrap(wrapped)) ?? [])).toEqual(rootKey);
    await rig.remove();
    await expect(seal.wrap(rootKey)).rejects.toMatchObject({ code: 'seal.refused' });
    // Made for another store: this one's key stays lost, and is told so.
    await seal.prepare?.();
    await expect(seal.unwrap(wrapped)).rejects.toMatchObject({
      code: 'seal.lost_key',
      cause: expect.objectContaining({ code: 'seal.other_key' }),
    });
  });

  test('says what it is worth, as "file" does and no other', async () => {
    expect(kubernetesRig().seal().caution).toContain('for demonstrations');
    expect(awsRig().seal().caution).toBeUndefined();
    const rig = fileRig('x');
    expect(rig.seal().caution).toContain('without its file');
    await rig.close?.();
  });
});

describe('seal "file"', () => {
  const seal = (path: string, cost = CHEAP) => sealOf(fileSeal({ path, cost }));
  const PASSPHRASE = 'correct horse battery staple';

  test.each<[string, string | Uint8Array]>([
    ['32 bytes', Uint8Array.of(0, ...randomKey(31))],
    ['base64', base64(randomKey(32))],
    ['base64 with an end of line', `${base64(randomKey(32))}\n`],
    ['hex', hex(randomKey(32))],
    ['a passphrase', PASSPHRASE],
    ['a passphrase of 32 letters, which is no key', 'abcdefghijklmnopqrstuvwxyz012345'],
  ])('opens with %s, and with nothing else in its place', async (_what, content) => {
    const path = put('key', content);
    const wrapped = await seal(path).wrap(rootKey);
    expect(Buffer.from((await seal(path).unwrap(wrapped)) ?? [])).toEqual(rootKey);
    for (const other of [base64(randomKey(32)), 'another long passphrase of somebody']) {
      put('key', other);
      await expect(seal(path).unwrap(wrapped)).rejects.toMatchObject({ code: 'seal.lost_key' });
    }
    expect(await decodedVersion(wrapped)).toMatch(/passphrase/.test(_what) ? /^scrypt:1024:8:1$/ : /^key$/);
  });
  const decodedVersion = async (blob: Uint8Array) => decodeWrapped('file', blob)?.version;

  test.each([
    ['a short passphrase', 'nineteen letters...', 'shorter than 20 letters'],
    ['nothing', '', 'shorter than 20 letters'],
    ['neither text nor 32 bytes', Buffer.of(0xff, 0xfe, 0xfd), 'neither a key of 32 bytes nor a passphrase'],
    ['far too much', 'x'.repeat(5000), 'larger than 4096 bytes'],
  ])('refuses %s', async (_what, content, reason) => {
    await expect(seal(put('key', content)).wrap(rootKey)).rejects.toMatchObject({
      code: 'seal.refused',
      message: expect.stringContaining(reason),
    });
  });

  test.each([0o644, 0o640, 0o604, 0o620, 0o601])(
    'refuses a file of the mode %o, and reads nothing of it',
    async (mode) => {
      await expect(seal(put('key', PASSPHRASE, mode)).wrap(rootKey)).rejects.toMatchObject({
        code: 'seal.refused',
        message: expect.stringContaining('0600'),
      });
    },
  );

  test('reads through a link, as Secrets are mounted, and judges the file behind it', async () => {
    put('real', PASSPHRASE, 0o400);
    symlinkSync(join(folder, 'real'), join(folder, 'link'));
    await seal(join(folder, 'link')).wrap(rootKey);
    chmodSync(join(folder, 'real'), 0o444);
    await expect(seal(join(folder, 'link')).wrap(rootKey)).rejects.toMatchObject({ code: 'seal.refused' });
    await expect(seal(folder).wrap(rootKey)).rejects.toMatchObject({ code: 'seal.refused' });
  });

  test.each([
    'scrypt:1073741824:8:1',
    'scrypt:131072:999:1',
    'scrypt:1000:8:1',
    'scrypt:0:0:0',
    'argon2:1:1:1',
    '',
  ])('a store that asks for the cost %j gets no work done', async (version) => {
    const path = put('key', PASSPHRASE);
    const wrapped = decodeWrapped('file', await seal(path).wrap(rootKey));
    const blob = encodeWrapped('file', { ...(wrapped as { key: string; data: Uint8Array }), version });
    await expect(seal(path).unwrap(blob)).rejects.toMatchObject({ code: 'seal.lost_key' });
  });

  test('what a passphrase wraps is as dear to guess as it says, by default', async () => {
    const blob = await sealOf(fileSeal({ path: put('key', PASSPHRASE) })).wrap(rootKey);
    expect(await decodedVersion(blob)).toBe('scrypt:131072:8:1');
    expect(Buffer.from((await seal(join(folder, 'key')).unwrap(blob)) ?? [])).toEqual(rootKey);
  });

  test('no failure holds the passphrase or the path', async () => {
    const path = put('key', PASSPHRASE);
    const wrapped = await seal(path).wrap(rootKey);
    put('key', `${PASSPHRASE} canary`);
    const error: unknown = await seal(path)
      .unwrap(wrapped)
      .catch((thrown: unknown) => thrown);
    expect(isFailure(error, 'seal.lost_key')).toBe(true);
    expect(String((error as Error).message)).not.toMatch(/canary|holdfast-kinds/);
  });
});

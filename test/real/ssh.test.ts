/** What the SSH engine signs, as OpenSSH of this machine reads it, and whom its sshd lets in. */

import { execFile, spawn } from 'node:child_process';
import { accessSync, chmodSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../src/cli/program.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { ssh } from '../../src/engines/ssh/index.ts';
import { startServer, type TestServer } from '../../src/server/testing.ts';
import { recordClient } from '../support/compatibility.ts';
import { freePort } from '../support/ports.ts';

const run = promisify(execFile);
const SSHD = '/usr/sbin/sshd';
const missing = [SSHD, '/usr/bin/ssh', '/usr/bin/ssh-keygen'].filter((path) => {
  try {
    accessSync(path, constants.X_OK);
    return false;
  } catch {
    return true;
  }
});
if (missing.length > 0) console.warn(`SKIPPED test/real/ssh: there is no ${missing.join(', ')}`);

const version = missing.length > 0 ? '' : /OpenSSH_[^ ,]+/.exec((await run('ssh', ['-V'])).stderr)?.[0];

describe.skipIf(missing.length > 0)('the SSH engine beside OpenSSH', () => {
  const recording = recordClient({
    client: 'openssh',
    version: version?.replace('OpenSSH_', '') ?? 'unknown',
  });
  let folder: string;
  let port: number;
  let daemon: ReturnType<typeof spawn>;
  let said = '';
  let server: TestServer;
  const me = userInfo().username;
  const at = (...names: string[]): string => join(folder, ...names);

  const write = async (path: string, body: unknown) => {
    const { status, json, text } = await server.ask('POST', `ssh/${path}`, body);
    if (status >= 300) throw new Error(`${path}: ${text}`);
    return json?.data;
  };
  /** A key pair by ssh-keygen, and its public line. */
  const keyPair = async (name: string, ...kind: string[]): Promise<string> => {
    await run('ssh-keygen', ['-q', '-N', '', '-C', name, '-f', at(name), ...kind]);
    return (await run('cat', [at(`${name}.pub`)])).stdout;
  };
  const shown = async (line: string): Promise<string> => {
    writeFileSync(at('shown-cert.pub'), line);
    const { stdout } = await run('ssh-keygen', ['-L', '-f', at('shown-cert.pub')]);
    recording.note('ssh-keygen -L of what was signed');
    return stdout;
  };
  /** Logs in with a key and its certificate; what the command says, or what kept it out. */
  const login = async (key: string, certificate: string, ...more: string[]): Promise<string> => {
    writeFileSync(`${key}-cert.pub`, certificate);
    const options = {
      BatchMode: 'yes',
      IdentitiesOnly: 'yes',
      IdentityAgent: 'none',
      PasswordAuthentication: 'no',
      StrictHostKeyChecking: 'yes',
      UserKnownHostsFile: at('known_hosts'),
      GlobalKnownHostsFile: '/dev/null',
      CertificateFile: `${key}-cert.pub`,
    };
    const flags = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    const args = ['-F', '/dev/null', '-p', String(port), '-i', key, ...flags, ...more];
    try {
      return (await run('ssh', [...args, `${me}@localhost`, 'echo in as $(id -un)'], { timeout: 30_000 }))
        .stdout;
    } catch (error) {
      return `refused: ${(error as { stderr?: string }).stderr}`;
    }
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'holdfast-ssh-'));
    server = await startServer([ssh]);
    await server.ask('POST', 'sys/mounts/ssh', { type: 'ssh' });
    const { public_key: authority } = await write('config/ca', { key_type: 'ssh-rsa', key_bits: 3072 });
    writeFileSync(at('authority.pub'), authority);
    await write('roles/user', {
      key_type: 'ca',
      allow_user_certificates: true,
      allowed_users: '*',
      allowed_extensions: 'permit-pty',
      default_extensions: { 'permit-pty': '' },
    });
    await write('roles/host', {
      key_type: 'ca',
      allow_host_certificates: true,
      allowed_domains: 'localhost',
      allow_bare_domains: true,
      ttl: '1h',
    });
    const hostKey = await keyPair('host', '-t', 'ed25519');
    const host = await write('sign/host', {
      public_key: hostKey,
      cert_type: 'host',
      valid_principals: 'localhost',
    });
    writeFileSync(at('host-cert.pub'), host.signed_key);
    writeFileSync(at('known_hosts'), `@cert-authority localhost,[localhost]:* ${authority}`);

    port = await freePort();
    // Where root asks it to, sshd wants this folder of Debian's for its unprivileged half.
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
    writeFileSync(
      at('sshd_config'),
      [
        `Port ${port}`,
        'ListenAddress 127.0.0.1',
        'ListenAddress ::1',
        `HostKey ${at('host')}`,
        `HostCertificate ${at('host-cert.pub')}`,
        `TrustedUserCAKeys ${at('authority.pub')}`,
        'AuthorizedKeysFile none',
        'PasswordAuthentication no',
        'KbdInteractiveAuthentication no',
        'PermitRootLogin prohibit-password',
        'UsePAM no',
        'StrictModes no',
        'PidFile none',
        'LogLevel VERBOSE',
      ].join('\n'),
    );
    chmodSync(at('host'), 0o600);
    daemon = spawn(SSHD, ['-D', '-e', '-f', at('sshd_config')], { stdio: ['ignore', 'ignore', 'pipe'] });
    daemon.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    await new Promise<void>((resolve, reject) => {
      daemon.stderr?.on('data', () => said.includes('Server listening') && resolve());
      daemon.on('exit', () => reject(new Error(`sshd ended: ${said}`)));
    });
  });

  afterAll(async () => {
    daemon?.kill();
    await server?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  test('ssh-keygen reads what was signed, for users and hosts, as it was asked for', async () => {
    await write('roles/detailed', {
      key_type: 'ca',
      allow_user_certificates: true,
      allowed_users: 'alice,bob',
      allowed_extensions: '*',
      key_id_format: '{{role_name}}-of-{{token_display_name}}',
    });
    const signed = await write('sign/detailed', {
      public_key: await keyPair('read', '-t', 'ed25519'),
      valid_principals: 'bob,alice',
      ttl: '10m',
      critical_options: { 'source-address': '127.0.0.0/8', 'force-command': 'date -u' },
      extensions: { 'permit-pty': '', 'login@github.com': 'alice' },
    });
    const user = await shown(signed.signed_key);
    expect(user).toMatch(/Type: ssh-ed25519-cert-v01@openssh\.com user certificate/);
    expect(user).toMatch(/Signing CA: RSA SHA256:\S+ \(using rsa-sha2-256\)/);
    expect(user).toContain('Key ID: "detailed-of-root"');
    expect(user).toContain(`Serial: ${BigInt(`0x${signed.serial_number}`)}`);
    expect(user).toMatch(/Principals: \n +alice\n +bob\n/);
    expect(user).toMatch(/Critical Options: \n +force-command date -u\n +source-address 127\.0\.0\.0\/8\n/);
    expect(user).toMatch(/Extensions: \n +login@github\.com UNKNOWN OPTION: \S+ \(len 9\)\n +permit-pty\n/);
    const [, from = '', to = ''] = /Valid: from (\S+) to (\S+)/.exec(user) ?? [];
    expect(Date.parse(to) - Date.parse(from)).toBe(630_000);

    const host = (await run('ssh-keygen', ['-L', '-f', at('host-cert.pub')])).stdout;
    expect(host).toMatch(/host certificate/);
    expect(host).toMatch(/Principals: \n +localhost\n/);
  });

  test.each([
    ['rsa', '2048'],
    ['ecdsa', '256'],
    ['ecdsa', '384'],
    ['ecdsa', '521'],
    ['ed25519', '256'],
  ])('sshd lets in a key of type %s and %s bits with its certificate', async (type, bits) => {
    const name = `in-${type}-${bits}`;
    const publicKey = await keyPair(name, '-t', type, '-b', bits);
    const { signed_key } = await write('sign/user', { public_key: publicKey, valid_principals: me });
    expect(await login(at(name), signed_key)).toBe(`in as ${me}\n`);
    recording.note(`ssh and sshd with a certificate for a key of type ${type}, ${bits} bits`);
  });

  test.each([
    ['rsa', 2048],
    ['ec', 384],
    ['ed25519', 0],
  ])('a key of type %s that was issued is a key to OpenSSH, and lets in', async (key_type, key_bits) => {
    const issued = await write('issue/user', { key_type, key_bits, valid_principals: me });
    const file = at(`issued-${key_type}`);
    writeFileSync(file, issued.private_key, { mode: 0o600 });
    expect((await run('ssh-keygen', ['-y', '-f', file])).stdout).toMatch(/^(ssh|ecdsa)-/);
    expect(await login(file, issued.signed_key)).toBe(`in as ${me}\n`);
    recording.note(`ssh and sshd with an issued key of type ${key_type}`);
  });

  test('sshd keeps out the wrong name, no name, what ended, what is for hosts, and another address', async () => {
    const publicKey = await keyPair('out', '-t', 'ed25519');
    const sign = async (more: object, role = 'user'): Promise<string> =>
      (await write(`sign/${role}`, { public_key: publicKey, valid_principals: me, ...more })).signed_key;
    expect(await login(at('out'), await sign({}))).toBe(`in as ${me}\n`);

    const attempts: [string, string, string][] = [
      ['another name', await sign({ valid_principals: `not-${me}` }), 'name is not a listed principal'],
      ['no name', await sign({ valid_principals: '' }), 'Certificate lacks principal list'],
      [
        'for hosts',
        await sign({ cert_type: 'host', valid_principals: 'localhost' }, 'host'),
        'Failed publickey',
      ],
      [
        'another address',
        await sign({ critical_options: { 'source-address': '192.0.2.0/24' } }),
        'source address',
      ],
    ];
    const short = await sign({ ttl: '1s' });
    await new Promise((resolve) => setTimeout(resolve, 2100));
    attempts.push(['ended', short, 'Certificate invalid: expired']);
    for (const [what, certificate, reason] of attempts) {
      const before = said.length;
      expect(await login(at('out'), certificate), what).toContain('Permission denied');
      expect(said.slice(before).toLowerCase(), what).toContain(reason.toLowerCase());
    }
  });

  test('a certificate of another authority, or with one bit turned, opens nothing', async () => {
    const publicKey = await keyPair('turned', '-t', 'ed25519');
    const { signed_key } = await write('sign/user', { public_key: publicKey, valid_principals: me });
    const [type, word = ''] = signed_key.split(' ');
    const bytes = Buffer.from(word, 'base64');
    const place = bytes.indexOf(Buffer.from('vault-'));
    bytes[place] = (bytes[place] ?? 0) ^ 1;
    expect(await login(at('turned'), `${type} ${bytes.toString('base64')}\n`)).toContain('refused');

    await server.ask('POST', 'sys/mounts/other', { type: 'ssh' });
    await server.ask('POST', 'other/config/ca', { key_type: 'ed25519' });
    await server.ask('POST', 'other/roles/user', {
      key_type: 'ca',
      allow_user_certificates: true,
      allowed_users: '*',
    });
    const foreign = await server.ask('POST', 'other/sign/user', {
      public_key: publicKey,
      valid_principals: me,
    });
    expect(await login(at('turned'), foreign.json.data.signed_key)).toContain('Permission denied');
  });

  test('the forced command runs in place of what was asked for', async () => {
    const publicKey = await keyPair('forced', '-t', 'ed25519');
    const { signed_key } = await write('sign/user', {
      public_key: publicKey,
      valid_principals: me,
      critical_options: { 'force-command': 'echo forced' },
    });
    expect(await login(at('forced'), signed_key)).toBe('forced\n');
  });

  test('the command line logs in by itself, and by a host that the engine vouches for', async () => {
    await keyPair('cli', '-t', 'ed25519');
    let seen = '';
    const terminal: Terminal = {
      env: { VAULT_ADDR: server.url, VAULT_TOKEN: server.root },
      out: (text) => {
        seen += text;
      },
      err: (text) => {
        seen += text;
      },
      stdin: async () => '',
      secret: async () => '',
      readFile: (path) => readFile(path, 'utf8'),
      tokenFile: { read: async () => undefined, write: async () => {} },
      async start({ command, args }) {
        seen += (await run(command, args, { timeout: 30_000 })).stdout;
        return 0;
      },
    };
    await write('roles/typed', {
      key_type: 'ca',
      allow_user_certificates: true,
      allowed_users: me,
      allowed_extensions: '*',
    });
    const flags = ['-mode=ca', '-role=typed', '-host-key-mount-point=ssh', `-private-key-path=${at('cli')}`];
    const typed = ['-F', '/dev/null', '-o', 'BatchMode=yes', '-o', 'IdentityAgent=none', `${me}@localhost`];
    const code = await runCli(
      ['ssh', ...flags, '--', '-p', String(port), ...typed, 'echo typed'],
      terminal,
      '0.0.0',
    );
    expect([seen, code]).toEqual(['typed\n', 0]);
  });

  test('an authority that ssh-keygen made signs as one that was made here', async () => {
    const line = await keyPair('brought', '-t', 'ecdsa', '-b', '521');
    await server.ask('POST', 'sys/mounts/brought', { type: 'ssh' });
    const private_key = (await run('cat', [at('brought')])).stdout;
    const added = await server.ask('POST', 'brought/config/ca', { public_key: line, private_key });
    expect(added.status).toBe(200);
    await server.ask('POST', 'brought/roles/user', {
      key_type: 'ca',
      allow_user_certificates: true,
      allowed_users: '*',
    });
    const { json } = await server.ask('POST', 'brought/sign/user', {
      public_key: line,
      valid_principals: 'a',
    });
    expect(await shown(json.data.signed_key)).toMatch(
      /Signing CA: ECDSA SHA256:\S+ \(using ecdsa-sha2-nistp521\)/,
    );
  });
});

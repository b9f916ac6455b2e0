import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { failure } from '../base/errors.ts';
import { ssh } from '../engines/ssh/index.ts';
import { startServer, type TestServer } from '../server/testing.ts';
import { runCli } from './program.ts';
import { destinationOf, withEndOfFlags } from './sshline.ts';
import type { Started, Terminal } from './terminal.ts';

const KEY = JSON.parse(await readFile('test/vectors/ssh.json', 'utf8')).keys[4] as {
  public: string;
  private: string;
};

let server: TestServer;
let folder: string;
let started: (Started & { files: Record<string, string> })[];
/** What the programs exit with; the names of those that are not there. */
let ends: { code: number; missing: string[] };

async function run(...argv: string[]): Promise<{ out: string; err: string; code: number }> {
  const [out, err]: [string[], string[]] = [[], []];
  const terminal: Terminal = {
    env: { VAULT_ADDR: server.url, VAULT_TOKEN: server.root },
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    stdin: async () => '',
    secret: async () => {
      throw failure('cli.no_terminal');
    },
    readFile: (path) =>
      readFile(path, 'utf8').catch(() => {
        throw failure('cli.unreadable', { path });
      }),
    tokenFile: { read: async () => undefined, write: async () => {} },
    async start(program) {
      if (ends.missing.includes(program.command)) return undefined;
      const files: Record<string, string> = {};
      for (const arg of program.args) {
        const [, name, path = ''] = /^(CertificateFile|UserKnownHostsFile)=(.*)$/.exec(arg) ?? [];
        if (name !== undefined) files[name] = await readFile(path, 'utf8');
      }
      started.push({ ...program, files });
      return ends.code;
    },
  };
  const code = await runCli(['ssh', ...argv], terminal, '0.0.0');
  return { out: out.join(''), err: err.join(''), code };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-cli-ssh-'));
  await writeFile(join(folder, 'id'), KEY.private, { mode: 0o600 });
  await writeFile(join(folder, 'id.pub'), KEY.public);
  server = await startServer([ssh]);
  for (const mount of ['ssh', 'hosts']) {
    await server.ask('POST', `sys/mounts/${mount}`, { type: 'ssh' });
    await server.ask('POST', `${mount}/config/ca`, { key_type: 'ed25519' });
  }
  await server.ask('POST', 'ssh/roles/user', {
    key_type: 'ca',
    allow_user_certificates: true,
    allowed_users: 'alice',
    allowed_extensions: '*',
  });
  await server.ask('POST', 'ssh/roles/door', {
    key_type: 'otp',
    default_user: 'alice',
    cidr_list: '127.0.0.0/8',
    port: 2222,
  });
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  started = [];
  ends = { code: 0, missing: [] };
});

const ca = (): string[] => ['-mode=ca', '-role=user', `-private-key-path=${join(folder, 'id')}`];
const leases = async (): Promise<number> =>
  (await server.ask('LIST', 'sys/leases/lookup/ssh/creds/door')).json?.data?.keys?.length ?? 0;

describe('ssh -mode=ca', () => {
  test('logs in with a certificate that is gone afterwards, and hands on all that follows the host', async () => {
    const seen = await run(...ca(), 'alice@host.example', '-p', '22', '-n', 'uname', '-a');
    expect(seen).toEqual({ out: '', err: '', code: 0 });
    const [program] = started;
    expect(program?.command).toBe('ssh');
    const certificate = program?.args[3]?.replace('CertificateFile=', '') ?? '';
    expect(program?.args).toEqual([
      ...['-i', join(folder, 'id'), '-o', `CertificateFile=${certificate}`],
      ...['-o', 'StrictHostKeyChecking=ask', 'alice@host.example', '-p', '22', '-n', 'uname', '-a'],
    ]);
    expect(program?.files['CertificateFile']).toMatch(/^ssh-ed25519-cert-v01@openssh\.com /);
    await expect(access(certificate)).rejects.toThrow();
  });

  test('ends with what ssh ends with', async () => {
    ends.code = 255;
    expect((await run(...ca(), 'alice@host')).code).toBe(255);
  });

  test('trusts the hosts of another engine, and no others', async () => {
    await run(
      ...ca(),
      '-host-key-mount-point=hosts',
      '-host-key-hostnames=*.example.com',
      'alice@a.example.com',
    );
    const line = (await server.ask('GET', 'hosts/public_key')).text;
    expect(started[0]?.files['UserKnownHostsFile']).toBe(`@cert-authority *.example.com ${line}`);
    expect(started[0]?.args).toContain('StrictHostKeyChecking=yes');
  });

  test('prints what was signed and starts nothing where that is asked for', async () => {
    const seen = await run(...ca(), '-no-exec', '-field=signed_key', 'alice@host');
    expect(seen.out).toMatch(/^ssh-ed25519-cert-v01@openssh\.com /);
    expect(started).toEqual([]);
  });

  test.each([
    [['-role=user', 'a@b'], 'No -mode specified', 1],
    [['-mode=ca', 'a@b'], 'No -role specified', 1],
    [['-mode=dynamic', '-role=user', 'a@b'], 'Unknown SSH mode: dynamic', 1],
    [['-mode=ca', '-role=user', '--', '-v'], 'there is no host among the arguments', 1],
    [
      ['-mode=ca', '-role=user', '-public-key-path=/nowhere.pub', 'a@b'],
      'Could not find an SSH private key',
      1,
    ],
    [['-mode=ca', '-role=user', '-private-key-path=/nowhere', 'a@b'], 'Could not find an SSH public key', 1],
  ])('%j is told what is wrong', async (argv, message, code) => {
    const seen = await run(...argv);
    expect(seen.err).toContain(message);
    expect([seen.code, started]).toEqual([code, []]);
  });

  test('what the role does not allow is told as the server tells it', async () => {
    const seen = await run(...ca(), 'root@host');
    expect(seen.err).toContain('root is not a valid value for valid_principals');
    expect(seen.code).toBe(2);
  });

  test('a client of SSH that is not there is named', async () => {
    ends.missing = ['dropbear'];
    const seen = await run(...ca(), '-ssh-executable=dropbear', 'alice@host');
    expect([seen.code, seen.err]).toEqual([
      1,
      'there is no program dropbear: name one with -ssh-executable\n',
    ]);
  });
});

describe('ssh -mode=otp', () => {
  const otp = ['-mode=otp', '-role=door'];

  test('lets sshpass type the password, which no argument holds, and takes it back afterwards', async () => {
    const seen = await run(...otp, 'alice@127.0.0.1');
    expect(seen).toEqual({ out: '', err: '', code: 0 });
    const [program] = started;
    expect(program?.command).toBe('sshpass');
    expect(program?.args).toEqual([
      '-e',
      'ssh',
      '-p',
      '2222',
      '-o',
      'StrictHostKeyChecking=ask',
      'alice@127.0.0.1',
    ]);
    const password = program?.env['SSHPASS'] ?? '';
    expect(password).toMatch(/^[0-9a-f-]{36}$/);
    expect((await server.ask('POST', 'ssh/verify', { otp: password })).status).toBe(400);
    expect(await leases()).toBe(0);
  });

  test('without sshpass a person is told the password; what was typed goes before the port of the role', async () => {
    ends = { code: 5, missing: ['sshpass'] };
    const typed = await run(...otp, '--', '-p', '22', 'alice@127.0.0.1');
    expect(typed.out).toMatch(/^OTP for the session is: [0-9a-f-]{36}\n$/);
    expect(typed.code).toBe(5);
    expect(started[0]?.args).toEqual(['-o', 'StrictHostKeyChecking=ask', '-p', '22', 'alice@127.0.0.1']);
    expect(await leases()).toBe(0);
  });

  test('an address that is not the role’s is refused by the server', async () => {
    const seen = await run(...otp, 'alice@192.0.2.1');
    expect(seen.err).toContain('IP does not belong to role');
    expect(seen.code).toBe(2);
  });
});

describe('arguments of ssh', () => {
  test.each([
    ['host', { host: 'host' }],
    ['alice@host', { host: 'host', user: 'alice' }],
    ['alice@corp@host uptime -p 7', { host: 'host', user: 'alice@corp' }],
    ['-p 22 -l bob host', { host: 'host', user: 'bob', port: '22' }],
    ['-p22 -vvv -A host', { host: 'host', port: '22' }],
    ['-tp 22 host', { host: 'host', port: '22' }],
    ['-oPort=22 -o User=bob host', { host: 'host', user: 'bob', port: '22' }],
    ['-o port=22 -p 23 alice@host -o User=bob', { host: 'host', user: 'alice', port: '22' }],
    ['-i key -J jump@bastion host ls -l x', { host: 'host' }],
    ['-- host', { host: 'host' }],
    ['-L 1:2:3 -N host', { host: 'host' }],
  ])('%s', (line, expected) => {
    expect(destinationOf(line.split(' '))).toEqual({ user: undefined, port: undefined, ...expected });
  });

  test.each(['', '-v', '-p', 'alice@', '--'])('%j names no host', (line) => {
    expect(destinationOf(line === '' ? [] : line.split(' '))).toBeUndefined();
  });

  test('the first word that is no flag of ours ends them', () => {
    const ended = (line: string): string =>
      withEndOfFlags(line.split(' '), new Set(['--no-exec', '--tls-skip-verify'])).join(' ');
    expect(ended('ssh -mode=ca -role r a@b -n')).toBe('ssh -mode=ca -role r -- a@b -n');
    expect(ended('ssh -no-exec --tls-skip-verify a@b -p 1')).toBe(
      'ssh -no-exec --tls-skip-verify -- a@b -p 1',
    );
    expect(ended('ssh -mode=ca -- -p 1 a@b')).toBe('ssh -mode=ca -- -p 1 a@b');
    expect(ended('ssh -h')).toBe('ssh -h');
    expect(ended('ssh -mode ca')).toBe('ssh -mode ca');
  });
});

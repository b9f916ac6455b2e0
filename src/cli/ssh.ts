/** ssh: get a certificate or a one-time password from an SSH engine, and log in to a host with it. */

import { lookup } from 'node:dns/promises';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { failure } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { Answer } from '../client/client.ts';
import { bagOf } from '../client/envelope.ts';
import { barePath } from './read.ts';
import { asking, type Flags, open, printSecret, remote, type Session } from './session.ts';
import { setting } from './settings.ts';
import { type Destination, destinationOf } from './sshline.ts';
import { Exit, type Terminal } from './terminal.ts';

interface SshFlags extends Flags {
  readonly mode?: string;
  readonly role?: string;
  readonly exec: boolean;
  readonly mountPoint: string;
  readonly strictHostKeyChecking?: string;
  readonly userKnownHostsFile?: string;
  readonly publicKeyPath?: string;
  readonly privateKeyPath?: string;
  readonly hostKeyMountPoint?: string;
  readonly hostKeyHostnames?: string;
  readonly validPrincipals?: string;
  readonly sshExecutable?: string;
}

/** One login: what was typed, and what was made of it. */
interface Login extends Destination {
  readonly session: Session;
  readonly flags: SshFlags;
  readonly role: string;
  readonly mount: string;
  readonly username: string;
  /** For the client of SSH, as they were typed. */
  readonly args: readonly string[];
}

export function declareSsh(program: Command, terminal: Terminal): void {
  remote(
    program,
    'ssh <arguments...>',
    'Log in to a host with what an SSH engine gives: user@host [ssh options]',
  )
    .option('--mode <mode>', 'ca or otp')
    .option('--role <role>', 'role of the engine to ask')
    .option('--no-exec', 'print what was given, and log in nowhere')
    .option('--mount-point <path>', 'where the engine is mounted', 'ssh/')
    .option('--strict-host-key-checking <value>', 'ask, no or yes (..._SSH_STRICT_HOST_KEY_CHECKING)')
    .option('--user-known-hosts-file <file>', 'known hosts (..._SSH_USER_KNOWN_HOSTS_FILE)')
    .option('--public-key-path <file>', 'ca: public key to sign; by default the one in ~/.ssh')
    .option('--private-key-path <file>', 'ca: its private key')
    .option('--host-key-mount-point <path>', 'ca: engine that signs hosts (..._SSH_HOST_KEY_MOUNT_POINT)')
    .option(
      '--host-key-hostnames <names>',
      'ca: hosts that it signs; by default all (..._SSH_HOST_KEY_HOSTNAMES)',
    )
    .option('--valid-principals <names>', 'ca: names for the certificate; by default the user')
    .option('--ssh-executable <file>', 'client of SSH to run; by default ssh (..._SSH_EXECUTABLE)')
    .action(async (args: string[], flags: SshFlags) => {
      const mode = flags.mode?.toLowerCase();
      if (flags.role === undefined || flags.role === '')
        throw usage('No -role specified. Use -role to tell which ssh role to use for authentication.');
      if (mode !== 'ca' && mode !== 'otp')
        throw usage(
          mode === undefined
            ? 'No -mode specified. Use -mode to tell which ssh authentication mode to use: ca or otp.'
            : `Unknown SSH mode: ${mode}`,
        );
      const destination = destinationOf(args);
      if (destination === undefined) throw usage('there is no host among the arguments: write user@host');
      const session = await open(terminal, flags);
      const mount = barePath(flags.mountPoint).replace(/\/+$/, '');
      const username = destination.user ?? userInfo().username;
      const login: Login = { ...destination, session, flags, role: flags.role, mount, username, args };
      await (mode === 'ca' ? withCertificate(login) : withPassword(login));
    });
}

const usage = (reason: string) => failure('cli.usage', { reason });

/** What upstream's command asks for: all that an interactive login may want. The role decides. */
const EXTENSIONS = {
  'permit-X11-forwarding': '',
  'permit-agent-forwarding': '',
  'permit-port-forwarding': '',
  'permit-pty': '',
  'permit-user-rc': '',
};

async function withCertificate(login: Login): Promise<void> {
  const { session, flags, mount, role, username } = login;
  const keys = await keyPaths(flags);
  const answer = await session.client.request('PUT', `${mount}/sign/${role}`, {
    body: {
      public_key: await session.terminal.readFile(keys.public),
      valid_principals: flags.validPrincipals ?? username,
      cert_type: 'user',
      extensions: EXTENSIONS,
    },
  });
  if (!flags.exec) return printSecret(session, answer);
  const signed = textOf(answer, 'signed_key');
  const authority = await hostAuthority(login);
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-ssh-'));
  try {
    const certificate = join(folder, 'key-cert.pub');
    await writeFile(certificate, signed, { mode: 0o600 });
    const known = join(folder, 'known_hosts');
    if (authority !== undefined) await writeFile(known, authority, { mode: 0o600 });
    const trust = authority === undefined ? hostTrust(login) : trusting('yes', known);
    await ended(login, ['-i', keys.private, '-o', `CertificateFile=${certificate}`, ...trust, ...login.args]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A line of known_hosts for the engine that signs hosts, or undefined where none was named. @throws Failure cli.usage */
async function hostAuthority({ session, flags }: Login): Promise<string | undefined> {
  const { env } = session.terminal;
  const mount = flags.hostKeyMountPoint ?? setting(env, 'SSH_HOST_KEY_MOUNT_POINT');
  if (mount === undefined) return undefined;
  const path = `${barePath(mount).replace(/\/+$/, '')}/config/ca`;
  const line = textOf(await asking(session).request('GET', path), 'public_key').trim();
  // A second line would be a host that the server chose to be believed.
  if (/[\r\n]/.test(line)) throw usage(`${path} holds more than one line`);
  return `@cert-authority ${flags.hostKeyHostnames ?? setting(env, 'SSH_HOST_KEY_HOSTNAMES') ?? '*'} ${line}\n`;
}

async function withPassword(login: Login): Promise<void> {
  const { session, flags, mount, role, username, host } = login;
  const { address } = await lookup(host).catch(() => {
    throw usage(`Error resolving the ssh hostname: ${JSON.stringify(host)}`);
  });
  const answer = await session.client.request('PUT', `${mount}/creds/${role}`, {
    body: { username, ip: address },
  });
  if (!flags.exec) return printSecret(session, answer);
  const otp = textOf(answer, 'key');
  const port = Number(dataOf(answer)['port']);
  const ports = login.port === undefined && Number.isInteger(port) ? ['-p', String(port)] : [];
  const args = [...ports, ...hostTrust(login), ...login.args];
  try {
    // `sshpass` types the password; without it a person does.
    const typed = await start(login, 'sshpass', ['-e', executable(login), ...args], { SSHPASS: otp });
    if (typed !== undefined) return exitWith(typed);
    session.terminal.err('There is no "sshpass" here to type the password: enter it when you are asked.\n');
    session.terminal.out(`OTP for the session is: ${otp}\n`);
    await ended(login, args);
  } finally {
    const lease = answer.envelope?.leaseId ?? '';
    if (lease !== '')
      await asking(session).request('PUT', 'sys/leases/revoke', { body: { lease_id: lease } });
  }
}

const hostTrust = ({ session, flags }: Login): string[] =>
  trusting(
    flags.strictHostKeyChecking ?? setting(session.terminal.env, 'SSH_STRICT_HOST_KEY_CHECKING') ?? 'ask',
    flags.userKnownHostsFile ?? setting(session.terminal.env, 'SSH_USER_KNOWN_HOSTS_FILE'),
  );

const trusting = (check: string, file: string | undefined): string[] => [
  '-o',
  `StrictHostKeyChecking=${check}`,
  ...(file === undefined ? [] : ['-o', `UserKnownHostsFile=${expanded(file)}`]),
];

const executable = ({ session, flags }: Login): string =>
  flags.sshExecutable ?? setting(session.terminal.env, 'SSH_EXECUTABLE') ?? 'ssh';

/** Runs the client of SSH, and ends as it does. @throws Failure cli.usage where there is none */
async function ended(login: Login, args: readonly string[]): Promise<void> {
  const code = await start(login, executable(login), args, {});
  if (code === undefined)
    throw usage(`there is no program ${executable(login)}: name one with -ssh-executable`);
  exitWith(code);
}

function exitWith(code: number): void {
  if (code !== 0) throw new Exit(code);
}

async function start(
  { session, flags }: Login,
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number | undefined> {
  return session.terminal.start?.({ command, args, env, interactive: flags.nonInteractive !== true });
}

const dataOf = (answer: Answer): Readonly<Record<string, Json>> => bagOf(answer.envelope?.data) ?? {};

function textOf(answer: Answer, name: string): string {
  const value = dataOf(answer)[name];
  if (typeof value === 'string' && value !== '') return value;
  throw usage(`the answer of the server holds no ${name}`);
}

const expanded = (path: string): string => path.replace(/^~(?=\/|$)/, homedir());

/** In the order in which they are looked for, as upstream's command does. */
const KEYS = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

/** The key pair to log in with: as the flags say, one half found beside the other, or of ~/.ssh. @throws Failure cli.usage */
async function keyPaths(flags: SshFlags): Promise<{ readonly public: string; readonly private: string }> {
  const given = {
    public: flags.publicKeyPath && expanded(flags.publicKeyPath),
    private: flags.privateKeyPath && expanded(flags.privateKeyPath),
  };
  if (given.public && given.private) return { public: given.public, private: given.private };
  const candidates = given.private
    ? [given.private]
    : given.public
      ? [given.public.replace(/\.pub$/, '')]
      : KEYS.map((name) => join(homedir(), '.ssh', name));
  for (const path of candidates) {
    const found = { public: given.public || `${path}.pub`, private: path };
    if (found.public !== found.private && (await exists(found.public)) && (await exists(found.private)))
      return found;
  }
  const half = given.public ? ['private', '-private-key-path'] : ['public', '-public-key-path'];
  throw usage(`Could not find an SSH ${half[0]} key. Specify with ${half[1]}.`);
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/**
 * The world that a document's scripts run in: `holdfast server` as a program, Kubernetes APIs, a PostgreSQL, and a shell
 * session whose `vault` is one of the command lines. Names that the documents use are places of this machine here.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crds } from '../../../src/operator/api/crds.ts';
import { kubectl } from '../../support/kubectl.ts';
import { eventually } from '../../support/platform.ts';
import { freePort } from '../../support/ports.ts';
import { type Cluster, type ClusterKind, kubeconfigOf, startEmbedded, startReal } from './clusters.ts';
import type { Script, ServerAct } from './script.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface World {
  /** Types a command into the session; its variables and functions stay. */
  type(command: string): Promise<Ran>;
  /** Runs a command with what the session has, and leaves the session as it was. */
  look(command: string): Promise<Ran>;
  act(act: ServerAct): Promise<void>;
  /** All that the server has printed. */
  logged(): string;
  stop(): Promise<void>;
}

export interface Wanted {
  /** The file of the bundled program. */
  readonly bundle: string;
  /** What `vault` runs: words of a command. */
  readonly cli: readonly string[];
  readonly clusters: ClusterKind;
  /** A PostgreSQL of this machine, whose superuser is "postgres"; absent: the steps that need it are left out. */
  readonly postgresql?: { readonly port: number; readonly password: string };
  /** NAME=VALUE lines of the environment. */
  readonly environment: readonly string[];
}

/** `refused COMMAND`: fails unless the command does. A `!` before it would not end a script under `set -e`. */
const PRELUDE = `set -euo pipefail
refused() { if "$@" >/dev/null 2>&1; then echo "was not refused: $*" >&2; return 9; fi; }
set -a
`;

/** Clusters that are real where a real one is wanted; the others of a document with many stay embedded. */
const REAL = ['primary', 'vcluster-dev'];

export async function startWorld(script: Script, wanted: Wanted): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-seeds-'));
  const closing: (() => Promise<void>)[] = [() => rm(folder, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const end of closing.splice(0).reverse()) await end();
  };
  try {
    const clusters: Cluster[] = [];
    for (const name of ['primary', ...script.virtualClusters]) {
      const real = wanted.clusters === 'kube-apiserver' && REAL.includes(name);
      const cluster = await (real ? startReal(name, folder) : startEmbedded(name));
      closing.push(() => cluster.stop());
      clusters.push(cluster);
    }
    const port = await freePort();
    const address = `http://127.0.0.1:${port}`;
    const places = placesOf(folder, clusters, port, wanted.postgresql?.port);
    const env = await prepareFolder(folder, clusters, wanted, address);
    const server = programOf(wanted.bundle, join(folder, 'vault.hcl'), folder);
    closing.push(() => server.stop());
    await writeFile(
      join(folder, 'vault.hcl'),
      places(script.config.text) + egressOf(clusters, wanted.postgresql?.port),
    );
    await furnish(script, clusters, env);
    const session = join(folder, 'session');
    const bash = (command: string, keep: boolean): Promise<Ran> =>
      shell(
        `${PRELUDE}. '${session}'\n${places(command)}${keep ? `\n{ export -p; declare -f; } > '${session}'` : ''}`,
        env,
        join(folder, 'work'),
      );
    if (wanted.postgresql !== undefined)
      await expectDone(
        'psql',
        await shell(
          `psql -v ON_ERROR_STOP=1 'postgresql://postgres@127.0.0.1:${wanted.postgresql.port}/postgres' <<'EOF'\n${script.databases.map((line) => (line.startsWith('\\') ? line : `${line};`)).join('\n')}\nEOF`,
          { ...env, PGPASSWORD: wanted.postgresql.password },
          folder,
        ),
      );
    await server.start();
    return {
      type: (command) => bash(command, true),
      look: (command) => bash(command, false),
      async act(act) {
        if (act !== 'start') await server.stop();
        if (act === 'wipe') await rm(join(folder, 'vault', 'data'), { recursive: true });
        if (act === 'start' || act === 'restart') await server.start();
      },
      logged: server.output,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** From the names of the documents to what they are on this machine, in the order of the longest. */
function placesOf(
  folder: string,
  clusters: readonly Cluster[],
  port: number,
  postgresql: number | undefined,
): (text: string) => string {
  const database = `127.0.0.1:${postgresql ?? 1}`;
  const table: readonly (readonly [string, string])[] = [
    ['https://kubernetes.default.svc:443', clusters[0]?.url ?? ''],
    ['http://vault.vault.svc:8200', `http://127.0.0.1:${port}`],
    ['postgres.shared-services.svc.cluster.local:5432/', `${database}/`],
    ['//postgres:5432/', `//${database}/`],
    ['@postgres:5432/', `@${database}/`],
    ['/var/run/secrets/kubernetes.io/serviceaccount/', `${folder}/pod/`],
    ['/vault/data', `${folder}/vault/data`],
    ['/vault/logs', `${folder}/vault/logs`],
    ['/backups', `${folder}/backups`],
    ['0.0.0.0:8200', `127.0.0.1:${port}`],
    ['[::]:8200', `127.0.0.1:${port}`],
  ];
  return (text) => table.reduce((done, [name, place]) => done.replaceAll(name, place), text);
}

/** What the server may connect to; the one stanza that Vault's files do not have. */
const egressOf = (clusters: readonly Cluster[], postgresql: number | undefined): string => {
  const ports = [
    ...clusters.map(({ url }) => new URL(url).port),
    ...(postgresql === undefined ? [] : [postgresql]),
  ];
  return `egress {\n  allow = [${ports.map((port) => `"127.0.0.1:${port}"`).join(', ')}]\n}\n`;
};

async function prepareFolder(
  folder: string,
  clusters: readonly Cluster[],
  wanted: Wanted,
  address: string,
): Promise<Record<string, string>> {
  for (const name of ['bin', 'pod', 'vault/logs', 'backups', 'work', 'home/.ssh'])
    await mkdir(join(folder, name), { recursive: true, mode: 0o700 });
  await writeFile(join(folder, 'pod', 'ca.crt'), clusters[0]?.ca ?? '');
  await writeFile(join(folder, 'kubeconfig'), kubeconfigOf(clusters), { mode: 0o600 });
  await writeFile(join(folder, 'session'), '');
  await writeFile(
    join(folder, 'home', '.ssh', 'github_deploy_key'),
    '-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5\n-----END OPENSSH PRIVATE KEY-----\n',
    { mode: 0o600 },
  );
  const quoted = wanted.cli.map((word) => `'${word}'`).join(' ');
  await executable(join(folder, 'bin', 'vault'), `exec ${quoted} "$@"\n`);
  const path = `${folder}/bin:${process.env['PATH'] ?? ''}`;
  const found = await shell('command -v htpasswd', { PATH: path }, folder);
  if (found.code !== 0) await standInForHtpasswd(join(folder, 'bin', 'htpasswd'));
  return {
    PATH: path,
    HOME: join(folder, 'home'),
    VAULT_ADDR: address,
    KUBECONFIG: join(folder, 'kubeconfig'),
    KUBECACHEDIR: join(folder, 'kube-cache'),
    POSTGRES_PASSWORD: wanted.postgresql?.password ?? '',
    ...Object.fromEntries(wanted.environment.map((line) => line.split('=', 2) as [string, string])),
  };
}

/** `htpasswd -niBC COST NAME`, where the machine has none: the same answer, by bcryptjs. */
async function standInForHtpasswd(file: string): Promise<void> {
  console.warn('test/real/seeds: there is no htpasswd on this machine; bcryptjs answers for it');
  const bcrypt = import.meta.resolve('bcryptjs');
  await executable(
    file,
    `[ "$1" = -niBC ] || exit 2
exec '${process.execPath}' --input-type=module -e '
import { hashSync } from "${bcrypt}";
import { readFileSync } from "node:fs";
const hash = hashSync(readFileSync(0, "utf8").trimEnd(), Number(process.argv[1]));
console.log(process.argv[2] + ":" + hash.replace(/^\\$2b/, "$2y") + "\\n");
' "$2" "$3"
`,
  );
}

async function executable(file: string, text: string): Promise<void> {
  await writeFile(file, `#!/bin/sh\n${text}`);
  await chmod(file, 0o755);
}

async function furnish(
  script: Script,
  clusters: readonly Cluster[],
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const control = kubectl({ ...env });
  for (const { name } of clusters) {
    const objects = name === 'primary' ? script.objects.primary : script.objects.virtual;
    const apply = (all: readonly object[]): Promise<string> =>
      control.ok(
        `--context ${name} apply --server-side -f -`,
        `---\n${all.map((object) => JSON.stringify(object)).join('\n---\n')}`,
      );
    if (objects.some(({ apiVersion }) => apiVersion.startsWith('external-secrets.io/'))) {
      await apply(crds());
      await control.ok(`--context ${name} wait --for=condition=Established --timeout=20s crd --all`);
    }
    await apply(objects);
  }
}

interface Program {
  start(): Promise<void>;
  stop(): Promise<void>;
  output(): string;
}

/** `holdfast server -config=FILE`, over and over. */
function programOf(bundle: string, config: string, folder: string): Program {
  let child: ChildProcess | undefined;
  let ended: Promise<unknown> = Promise.resolve();
  let text = '';
  return {
    async start() {
      const from = text.length;
      const made = spawn(process.execPath, [bundle, 'server', `-config=${config}`], {
        cwd: folder,
        env: { PATH: process.env['PATH'] ?? '' },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      child = made;
      ended = new Promise((resolve) => made.once('close', resolve));
      for (const stream of [made.stdout, made.stderr])
        stream?.on('data', (chunk: Buffer) => {
          text += chunk.toString('utf8');
        });
      await eventually(
        'the server listens',
        () => {
          if (made.exitCode !== null)
            throw new Error(`the server ended with ${made.exitCode}\n${text.slice(from)}`);
          return text.slice(from).includes('"listening"') || undefined;
        },
        60_000,
      );
    },
    async stop() {
      child?.kill('SIGTERM');
      await ended;
      child = undefined;
    },
    output: () => text,
  };
}

/** Never the synchronous kind: the embedded clusters answer in this process. */
function shell(script: string, env: Readonly<Record<string, string>>, cwd: string): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['--norc', '-c', script], {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 240_000,
    });
    const texts = { out: '', err: '' };
    child.stdout.on('data', (chunk: Buffer) => {
      texts.out += chunk.toString('utf8');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      texts.err += chunk.toString('utf8');
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? -1, ...texts }));
  });
}

async function expectDone(what: string, { code, out, err }: Ran): Promise<void> {
  if (code !== 0) throw new Error(`${what} ended with ${code}\n${out}${err}`);
}

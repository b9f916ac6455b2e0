/** `holdfast dev`: the main job, stage by stage, told to the person who started it. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { systemClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { matrixRequests, storeOf } from '../../cli/seed.ts';
import type { ExitCode, Terminal } from '../../cli/terminal.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { KubeObject, Resource } from '../../kube/kube.ts';
import { EXTERNAL_SECRETS } from '../../operator/api/resources.ts';
import type { Operator, Standing } from '../../operator/options.ts';
import { type Access, accessOf } from '../../platform/access.ts';
import { inWaves, type Manifest, readManifests } from '../../platform/manifests.ts';
import { checkSeeds, type SeedRequest, seed } from '../../platform/seed.ts';
import { pinoLog } from '../log.ts';
import { openTracing } from '../tracing.ts';
import { furnish } from './furnish.ts';
import { type Home, openHome } from './home.ts';
import { applyManifest } from './kubernetes.ts';
import { locateKeys } from './locate.ts';
import { isLoopback } from './network.ts';
import { startOperator } from './operator.ts';
import type { DevOptions } from './options.ts';
import { type Platform, startPlatform, urlOf } from './platform.ts';
import { type Report, reasons, reportTo, standingTable } from './report.ts';
import { type Trial, trialOf } from './trial.ts';
import { adminToken } from './vault.ts';

/** Everything that a folder asks for, read and checked before anything is started. */
interface Inputs {
  readonly dir: string;
  readonly seeds: readonly SeedRequest[];
  readonly manifests: readonly Manifest[];
  /** The same, in the order in which they are applied. */
  readonly waves: ReturnType<typeof inWaves>;
  readonly access: Access;
}

/** Runs until it is told to stop, or until the work is done with `once`. Gives the exit code. */
export async function runDev(options: DevOptions, terminal: Terminal): Promise<ExitCode> {
  const report = reportTo(terminal, 0);
  const inputs = await readInputs(options);
  const home = await openHome(homeOf(inputs.dir, options), options.data === 'memory');
  const log = pinoLog(pino.destination({ dest: home.path('holdfast.log'), append: false, mode: 0o600 }));
  const stop = new AbortController();
  const { env } = process;
  const { close: endTraces, ...tracing } = await openTracing('holdfast-dev', {
    env,
    clock: systemClock,
    log,
  });
  const platform = await startPlatform({ ...options, ...tracing }, home, log);
  let operator: { readonly operator: Operator; ended(): Promise<void> } | undefined;
  const interrupted = untilInterrupted();
  try {
    tellStart(report, platform, home);
    await furnish(platform, inputs.access, home);
    const { roles, policies } = inputs.access;
    report.stage(
      'access',
      `Kubernetes auth, ${roles.length} roles, ${policies.length} policies of exactly the paths the manifests name`,
    );
    operator = await startOperator(platform, home, log, stop.signal);
    await seedAll(platform, inputs, options, report);
    await applyAll(platform.kube, inputs.waves, report);
    const wanted = externalSecretsOf(inputs.manifests);
    const settled = await Promise.race([
      waitForSync(operator.operator, wanted, options.timeoutMs, report),
      interrupted.then(() => undefined),
    ]);
    if (settled === undefined) return 0;
    await operator.operator.eventsWritten();
    await tellResult(platform, settled, report);
    if (options.once) return settled.every(({ ready }) => ready === 'True') ? 0 : 1;
    await tellNext(platform, home, trialOf(inputs.manifests, inputs.seeds), report);
    await interrupted;
    report.line('Stopping.');
    return 0;
  } finally {
    stop.abort();
    await operator?.ended();
    await platform.close();
    await endTraces();
  }
}

async function readInputs(options: DevOptions): Promise<Inputs> {
  const dir = options.dir ?? exampleFolder();
  if (!existsSync(dir))
    throw failure('platform.unreadable', {
      file: dir,
      reason: 'there is no such folder',
      mend: 'name the folder that holds config.toml, secrets.yaml and manifests/',
    });
  const requests = await matrixRequests(dir);
  const seeds = options.randomValues ? requests.map(({ entry }) => ({ entry, given: undefined })) : requests;
  checkSeeds(seeds, 'demo');
  const { address } = options;
  if (
    address !== undefined &&
    !isLoopback(address.host) &&
    seeds.some(({ given }) => given !== undefined && given !== '')
  )
    throw failure('dev.demo_values', { address: `${address.host}:${address.port}` });
  const manifests = await readManifests(join(dir, 'manifests'));
  return {
    dir,
    seeds,
    manifests,
    waves: inWaves(manifests),
    access: accessOf(
      manifests.map(({ object }) => object),
      locateKeys,
    ),
  };
}

/** The repository's own example: beside the bundle, and beside the sources. */
function exampleFolder(): string {
  const candidates = ['../examples/platform', '../../examples/platform', '../../../examples/platform'].map(
    (path) => fileURLToPath(new URL(path, import.meta.url)),
  );
  return candidates.find((folder) => existsSync(folder)) ?? candidates[0] ?? '';
}

function homeOf(dir: string, { data }: DevOptions): string {
  if (data === undefined) return join(dir, '.holdfast');
  return data === 'memory' ? join(dir, '.holdfast', 'memory') : data;
}

function tellStart(report: Report, platform: Platform, home: Home): void {
  for (const text of platform.moved) report.line(`        ${text}`);
  report.stage(
    'server',
    `${urlOf(platform.listener.address)}, ${platform.fresh ? 'initialized with 1 share of 1' : 'data found'} and unsealed`,
  );
  report.stage('kubernetes', `${platform.api.url}, state in ${home.folder}`);
}

async function seedAll(
  platform: Platform,
  { seeds }: Inputs,
  options: DevOptions,
  report: Report,
): Promise<void> {
  const counts = { stored: 0, generated: 0, rotated: 0, kept: 0 };
  for await (const { outcome } of seed(storeOf(platform.root), seeds, {
    mode: 'demo',
    onlyMissing: !platform.fresh,
  }))
    counts[outcome]++;
  const source = options.randomValues ? '' : `${counts.stored} from config.toml, `;
  report.stage(
    'seeds',
    `${seeds.length} values: ${source}${counts.generated} drawn at random, ${counts.kept} kept`,
  );
}

async function applyAll(kube: KubeClient, waves: Inputs['waves'], report: Report): Promise<void> {
  const known = new Map<string, Promise<readonly Resource[]>>();
  const resourceOf = async ({ apiVersion, kind }: KubeObject): Promise<Resource | undefined> => {
    const found = known.get(apiVersion) ?? kube.resources(apiVersion);
    known.set(apiVersion, found);
    return (await found).find((resource) => resource.kind === kind);
  };
  for (const { manifests: members } of waves) {
    for (const manifest of members) {
      // A CRD among the manifests brings kinds that were not there a moment ago.
      if (manifest.object.kind === 'CustomResourceDefinition') known.clear();
      await applyManifest(kube, await resourceOf(manifest.object), manifest);
    }
  }
  report.stage(
    'manifests',
    `${waves.flatMap(({ manifests }) => manifests).length} applied, in ${waves.length} sync waves`,
  );
}

interface NamedObject {
  readonly namespace: string;
  readonly name: string;
}

const externalSecretsOf = (manifests: readonly Manifest[]): NamedObject[] =>
  manifests
    .filter(({ object }) => object.kind === 'ExternalSecret')
    .map(({ object }) => ({ namespace: object.metadata.namespace ?? 'default', name: object.metadata.name }));

/** How long failures may mend themselves (a store that comes up, a policy that is written) before they are told. */
const SETTLE_MS = 5000;

/** Waits until all are ready, or until none has moved for a while, or the time is up; then the reasons are told. */
async function waitForSync(
  operator: Operator,
  wanted: readonly NamedObject[],
  timeoutMs: number,
  report: Report,
): Promise<readonly Standing[]> {
  const end = performance.now() + timeoutMs;
  let picture = '';
  let unchangedSince = performance.now();
  for (let told = false; ; await later(10)) {
    const all = new Map(
      operator.externalSecrets().map((standing) => [`${standing.namespace}/${standing.name}`, standing]),
    );
    const standings = wanted.map(
      ({ namespace, name }) => all.get(`${namespace}/${name}`) ?? unseen(namespace, name),
    );
    const ready = standings.filter((standing) => standing.ready === 'True').length;
    if (ready > 0 && !told) {
      told = true;
      report.stage('operator', 'the first Secret is synced');
    }
    const now = standings.map((standing) => standing.ready).join();
    if (now !== picture) {
      picture = now;
      unchangedSince = performance.now();
    }
    const stuck =
      standings.every((standing) => standing.ready !== 'Unknown') &&
      performance.now() > unchangedSince + SETTLE_MS;
    if (ready === wanted.length || stuck || performance.now() > end) {
      report.stage('operator', `${ready} of ${wanted.length} ExternalSecrets synced`);
      return standings;
    }
  }
}

const unseen = (namespace: string, name: string): Standing => ({
  kind: 'ExternalSecret',
  namespace,
  name,
  ready: 'Unknown',
  reason: 'Pending',
  message: 'not looked at yet',
});

async function tellResult(platform: Platform, standings: readonly Standing[], report: Report): Promise<void> {
  const { items } = await platform.kube.list({ resource: EXTERNAL_SECRETS });
  report.line(`\n${standingTable(items, Date.now())}`);
  const why = reasons(standings);
  if (why.length > 0) report.line(`Not synced:\n${why.join('\n')}\n`);
}

async function tellNext(
  platform: Platform,
  home: Home,
  trial: Trial | undefined,
  report: Report,
): Promise<void> {
  const kubeconfig = await home.write('kubeconfig', platform.api.kubeconfig());
  const env = await home.write(
    'env',
    [
      `export VAULT_ADDR=${urlOf(platform.listener.address)}`,
      `export VAULT_TOKEN=${await adminToken(platform.root)}`,
      `export KUBECONFIG=${quote(kubeconfig)}`,
      `export KUBECACHEDIR=${quote(home.path('kube-cache'))}`,
      '',
    ].join('\n'),
  );
  report.line(
    [
      'In another terminal:',
      '',
      `  . ${quote(env)}`,
      '  kubectl get externalsecrets -A',
      '',
      ...(trial === undefined ? [] : trialLines(trial)),
      'Ctrl-C stops it; the next start goes on from here.',
    ].join('\n'),
  );
}

const trialLines = ({ path, key, namespace, secret }: Trial): string[] => [
  'One thing to try: change a secret and see it arrive.',
  '',
  `  kubectl get secret ${secret} -n ${namespace} -w &`,
  `  ./holdfast kv patch ${path} ${key}=changed`,
  '',
];

const quote = (text: string): string =>
  /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

function untilInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
}

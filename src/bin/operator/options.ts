/** What `holdfast controller` was asked for: flags, under the names of external-secrets where they mean the same. Pure. */

import { goDuration, parseDuration } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import { type EgressRule, egressRule } from '../../server/config/egress.ts';
import type { Replicas } from './replicas.ts';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface Hearing {
  /** Origins, as a store names them: "https://vault.example.com:8200". */
  readonly servers: ReadonlySet<string>;
  readonly mount: string;
  readonly role: string;
  /** A file with a token of the operator's own account for the servers, renewed by the kubelet. */
  readonly tokenFile: string;
  /** A file with the authorities of the servers, in PEM. */
  readonly caFile: string | undefined;
}

export interface WebhookSettings {
  readonly at: HostPort;
  /** A folder with `tls.crt` and `tls.key`; undefined: it makes its own certificate. */
  readonly certDir: string | undefined;
}

export interface ControllerOptions {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  /** The one namespace that is looked after; undefined: all. */
  readonly namespace: string | undefined;
  readonly controllerClass: string;
  readonly concurrency: number;
  readonly replicas: Replicas;
  /** Compares what it would write with what is there, and writes nothing. */
  readonly shadow: boolean;
  /** Where numbers are read, and where the kubelet asks; undefined: nowhere. */
  readonly metrics: HostPort | undefined;
  readonly live: HostPort | undefined;
  /** Undefined: there is no webhook. */
  readonly webhook: WebhookSettings | undefined;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** Milliseconds. */
  readonly storeInterval: number;
  /** Milliseconds that what a generator made stays after it was replaced. */
  readonly generatorGraceMs: number;
  /** What stores may reach beside what everybody may. */
  readonly egress: readonly EgressRule[];
  readonly lendOwnKeys: boolean;
  /** Undefined: nothing is heard, and refresh intervals alone bring changes. */
  readonly hearing: Hearing | undefined;
  readonly extendedLabels: boolean;
  readonly mostObjects: number;
  /** Flags of external-secrets that mean nothing here, with a word why. */
  readonly notes: readonly string[];
}

/** Flags as the parser of the command line gives them. */
export interface ControllerFlags {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
  readonly controllerClass?: string;
  readonly concurrent?: string;
  readonly enableLeaderElection?: boolean;
  readonly enableSharding?: boolean;
  readonly shadow?: boolean;
  readonly metricsAddr?: string;
  readonly liveAddr?: string;
  readonly loglevel?: string;
  readonly storeRequeueInterval?: string;
  readonly generatorGcGracePeriod?: string;
  readonly egressAllow?: readonly string[];
  readonly lendOwnKeys?: boolean;
  readonly pushServer?: readonly string[];
  readonly pushMount?: string;
  readonly pushRole?: string;
  readonly pushTokenFile?: string;
  readonly pushCaFile?: string;
  readonly webhookAddress?: string;
  readonly webhookCertDir?: string;
  readonly enableExtendedMetricLabels?: boolean;
  readonly metricsMaxObjects?: string;
}

type Env = Readonly<Record<string, string | undefined>>;

const LEVELS: Readonly<Record<string, ControllerOptions['logLevel']>> = {
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  error: 'error',
};
/** Where `deploy/operator` mounts the projected token. */
const TOKEN_FILE = '/var/run/secrets/holdfast/token';

/** @throws Failure cli.usage */
export function controllerOptions(flags: ControllerFlags, env: Env): ControllerOptions {
  return {
    kubeconfig: flags.kubeconfig || env['KUBECONFIG'] || undefined,
    context: flags.context,
    namespace: flags.namespace || undefined,
    controllerClass: flags.controllerClass || 'default',
    concurrency: whole('--concurrent', flags.concurrent ?? '24', 1, 256),
    replicas: replicasOf(flags),
    shadow: flags.shadow === true,
    metrics: addressOf('--metrics-addr', flags.metricsAddr ?? ':8080'),
    live: addressOf('--live-addr', flags.liveAddr ?? ':8082'),
    webhook: webhookOf(flags),
    logLevel: levelOf(flags.loglevel ?? 'info'),
    storeInterval: durationOf('--store-requeue-interval', flags.storeRequeueInterval ?? '5m'),
    generatorGraceMs: durationOf('--generator-gc-grace-period', flags.generatorGcGracePeriod ?? '2m', 0),
    egress: (flags.egressAllow ?? []).map(ruleOf),
    lendOwnKeys: flags.lendOwnKeys === true,
    hearing: hearingOf(flags),
    extendedLabels: flags.enableExtendedMetricLabels === true,
    mostObjects: whole('--metrics-max-objects', flags.metricsMaxObjects ?? '10000', 0, 1_000_000),
    notes: [],
  };
}

const usage = (reason: string) => failure('cli.usage', { reason });

function replicasOf(flags: ControllerFlags): Replicas {
  const leads = flags.enableLeaderElection === true;
  const shares = flags.enableSharding === true;
  if (leads && shares)
    throw usage(
      '--enable-leader-election and --enable-sharding exclude each other: one replica works, or all do',
    );
  return shares ? 'shards' : leads ? 'leader' : 'alone';
}

function whole(flag: string, text: string, least: number, most: number): number {
  const number = /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw usage(`${flag} takes a number from ${least} to ${most}`);
}

/** ":8080" is every address of the machine; "0" is nowhere, as controller-runtime has it. */
function addressOf(flag: string, text: string): HostPort | undefined {
  if (text === '' || text === '0') return undefined;
  const match = /^(\[[0-9a-fA-F:]+\]|[^:/[\]]*):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65535)
    throw usage(`${flag} takes HOST:PORT, such as :8080 or 127.0.0.1:8080, or 0 for nowhere`);
  return { host: (match[1] ?? '').replace(/^\[|\]$/g, '') || '::', port };
}

function webhookOf(flags: ControllerFlags): WebhookSettings | undefined {
  const at = addressOf('--webhook-address', flags.webhookAddress ?? '0');
  if (at === undefined && flags.webhookCertDir !== undefined)
    throw usage('--webhook-cert-dir needs --webhook-address: without it there is no webhook');
  if (at !== undefined && flags.shadow === true)
    throw usage('--shadow and --webhook-address exclude each other: one in shadow refuses nothing');
  return at && { at, certDir: flags.webhookCertDir || undefined };
}

function levelOf(text: string): ControllerOptions['logLevel'] {
  const level = LEVELS[text.toLowerCase()];
  if (level !== undefined) return level;
  throw usage(`--loglevel takes ${Object.keys(LEVELS).join(', ')}`);
}

function durationOf(flag: string, text: string, leastMs = 1000): number {
  try {
    const ms = parseDuration(text);
    if (ms >= leastMs) return ms;
  } catch {
    // Told below.
  }
  throw usage(`${flag} takes a duration of at least ${goDuration(leastMs)}, such as 5m`);
}

function ruleOf(text: string): EgressRule {
  const rule = egressRule(text);
  if (rule !== undefined) return rule;
  throw usage(
    `--egress-allow takes NAME:PORT, ADDRESS:PORT or NETWORK:PORT, such as 10.20.0.0/16:8200, and not ${JSON.stringify(text.slice(0, 80))}`,
  );
}

function hearingOf(flags: ControllerFlags): Hearing | undefined {
  const servers = (flags.pushServer ?? []).map(originOf);
  if (servers.length === 0) return undefined;
  return {
    servers: new Set(servers),
    mount: (flags.pushMount ?? 'kubernetes').replace(/^\/+|\/+$/g, ''),
    role: flags.pushRole ?? 'holdfast-operator',
    tokenFile: flags.pushTokenFile ?? TOKEN_FILE,
    caFile: flags.pushCaFile,
  };
}

/** The address of a server as clients of it spell theirs: the scheme, the host and the port, and a path where it has one. */
export function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw usage(`--push-server takes the URL of a server, such as https://vault.example.com:8200`);
  return url.origin + url.pathname.replace(/\/+$/, '');
}

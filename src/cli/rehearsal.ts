/**
 * `-output-curl-string` and `-output-policy`: what a command would ask of the server, told instead of asked. The token is
 * never in it: the curl command asks for it by `holdfast print token`, so that it can be pasted where others read.
 */

import { textOf } from '../base/bytes.ts';
import { failure } from '../base/errors.ts';
import type { Planned } from '../client/client.ts';
import { Exit, type Terminal } from './terminal.ts';

interface Wanted {
  readonly outputCurlString?: boolean;
  readonly outputPolicy?: boolean;
}

/** The TLS settings that curl has flags for; files are named, not read. */
export interface CurlFiles {
  readonly caCert: string | undefined;
  readonly caPath: string | undefined;
  readonly clientCert: string | undefined;
  readonly clientKey: string | undefined;
  readonly skipVerify: boolean;
}

/** What takes the place of the server where one of the flags asks for it: it prints, and ends the command. */
export function rehearsal(
  terminal: Terminal,
  wanted: Wanted,
  files: CurlFiles,
): ((planned: Planned) => never) | undefined {
  if (wanted.outputCurlString !== true && wanted.outputPolicy !== true) return undefined;
  if (wanted.outputCurlString === true && wanted.outputPolicy === true)
    throw failure('cli.usage', { reason: 'cannot use both -output-curl-string and -output-policy' });
  return (planned) => {
    terminal.out(`${wanted.outputPolicy === true ? policyFor(planned) : curlFor(planned, files)}\n`);
    throw new Exit(0);
  };
}

/** What goes through as a stream has no line of curl or of a policy that tells it whole. @throws Failure cli.usage */
export function refuseRehearsal({ outputCurlString, outputPolicy }: Wanted, what: string): void {
  if (outputCurlString !== true && outputPolicy !== true) return;
  const flag = outputCurlString === true ? '-output-curl-string' : '-output-policy';
  throw failure('cli.usage', { reason: `${flag} is not there for ${what}, which are streamed` });
}

/** The request as a command for a shell. */
export function curlFor(planned: Planned, files: CurlFiles): string {
  const { method, url, headers, body } = planned;
  const file = (flag: string, path: string | undefined): string[] =>
    path === undefined ? [] : [`${flag} ${single(path)}`];
  return [
    'curl',
    ...(files.skipVerify ? ['--insecure'] : []),
    ...(method === 'GET' ? [] : [`-X ${method}`]),
    ...file('--cacert', files.caCert),
    ...file('--capath', files.caPath),
    ...file('--cert', files.clientCert),
    ...file('--key', files.clientKey),
    ...Object.entries(headers).filter(isTold).map(headerText),
    ...(body === undefined || body.length === 0 ? [] : [`-d ${single(textOf(body) ?? '')}`]),
    quoted(url),
  ].join(' ');
}

/** curl's own accept header does, and the server takes JSON for what it is whatever its type is said to be. */
const isTold = ([name, value]: readonly [string, string]): boolean =>
  name !== 'accept' && !(name === 'content-type' && value === 'application/json');

function headerText([name, value]: readonly [string, string]): string {
  const spelled = name.replace(/(^|-)([a-z])/g, (letter) => letter.toUpperCase());
  return name.toLowerCase() === 'x-vault-token'
    ? `-H "${spelled}: $(holdfast print token)"`
    : `-H ${quoted(`${spelled}: ${value}`)}`;
}

/** In double quotes as upstream has it, where nothing in the text means anything to a shell there; else in single ones. */
const quoted = (text: string): string => (/^[\w .:/%?=&~,;+@-]*$/.test(text) ? `"${text}"` : single(text));

const single = (text: string): string => `'${text.replaceAll("'", `'"'"'`)}'`;

const CAPABILITIES: Readonly<Record<Planned['method'], readonly string[]>> = {
  GET: ['read'],
  HEAD: ['read'],
  POST: ['create', 'update'],
  PUT: ['create', 'update'],
  PATCH: ['patch'],
  DELETE: ['delete'],
};

/** The least policy under which the request is allowed. */
export function policyFor({ method, listing, path }: Planned): string {
  const capabilities = [...(listing ? ['list'] : CAPABILITIES[method]), ...(needsSudo(path) ? ['sudo'] : [])];
  return `path ${JSON.stringify(path)} {\n  capabilities = [${capabilities.map((name) => JSON.stringify(name)).join(', ')}]\n}`;
}

/** Paths that the API guards by `sudo` beside the capability of the verb. */
const GUARDED = [
  /^auth\/token\/(accessors|create-orphan|revoke-orphan)$/,
  /^sys\/(remount|rotate|rotate\/.+|seal|step-down|leases|in-flight-req|host-info)$/,
  /^sys\/audit(\/.+)?$/,
  /^sys\/auth\/.+$/,
  /^sys\/raw(\/.+)?$/,
  /^sys\/audit-chain\/.+$/,
  /^sys\/config\/(cors|auditing\/.+|ui\/headers(\/.+)?|state\/sanitized)$/,
  /^sys\/quotas\/.+$/,
  /^sys\/plugins\/catalog(\/.+)?$/,
  /^sys\/(leases\/)?revoke-(prefix|force)\/.+$/,
  /^sys\/leases\/lookup\/.+$/,
  /^sys\/storage\/raft\/(snapshot-force|join|remove-peer|promote|demote)$/,
  /^sys\/backup(\/(list|create|verify|prune|restore))?$/,
  /^sys\/storage\/verify$/,
  /^sys\/(rekey|rekey-recovery-key)\/backup$/,
  /^sys\/generate-root-token\/.+$/,
];

export const needsSudo = (path: string): boolean => GUARDED.some((pattern) => pattern.test(path));

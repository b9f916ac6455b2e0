/** docs/compatibility.md, from what public clients recorded in their runs. Pure: the same runs give the same page. */

import type { ClientRun } from '../test/support/compatibility.ts';

interface About {
  readonly client: string;
  /** How it is told apart, and where it comes from. */
  readonly title: string;
  /** What one of its calls is called. */
  readonly calls: string;
  /** Without it the page is whole. */
  readonly optional?: true;
}

/** In the order of the page. */
const CLIENTS: readonly About[] = [
  { client: 'node-vault', title: 'node-vault (npm)', calls: 'commands' },
  { client: 'hashi-vault-js', title: 'hashi-vault-js (npm)', calls: 'methods' },
  { client: 'hvac', title: 'hvac (PyPI)', calls: 'methods' },
  { client: 'acme-client', title: 'acme-client (npm)', calls: 'methods' },
  { client: 'oidc-provider', title: 'oidc-provider (npm), through Chromium', calls: 'uses' },
  { client: 'openssl', title: 'openssl', calls: 'uses' },
  { client: 'openssh', title: 'OpenSSH', calls: 'uses' },
  { client: 'vault', title: 'vault, the command line', calls: 'commands', optional: true },
  { client: 'bao', title: 'bao, the command line', calls: 'commands', optional: true },
];

/** The clients without whose runs there is no page. */
export const missingFrom = (runs: readonly ClientRun[]): readonly string[] =>
  CLIENTS.filter(({ client, optional }) => !optional && !runs.some((run) => run.client === client)).map(
    ({ client }) => client,
  );

/** A page without the rows and sections of clients that need not be there, and are not in these runs. */
export function withoutAbsent(page: string, runs: readonly ClientRun[]): string {
  const absent = CLIENTS.filter(
    ({ client, optional }) => optional && !runs.some((run) => run.client === client),
  ).map(({ title }) => title);
  const rows = page.split('\n').filter((line) => !absent.some((title) => line.startsWith(`| ${title} |`)));
  const [head = '', ...sections] = rows.join('\n').trimEnd().split('\n\n## ');
  const left = sections.filter((section) => !absent.includes(section.split('\n')[0] ?? ''));
  return `${[head, ...left].join('\n\n## ')}\n`;
}

/** The page. @param runs of each client at most one, in any order */
export function compatibilityPage(runs: readonly ClientRun[]): string {
  const told = CLIENTS.flatMap((about) => {
    const run = runs.find(({ client }) => client === about.client);
    return run === undefined ? [] : [{ about, run }];
  });
  return [
    '# Compatibility',
    '',
    'Public clients, unmodified, against this server. This page is generated from their runs by `npm run compatibility`.',
    '',
    '*Tried* is what a test called. It *matches* when the client took the answer for a success and every claim of the tests',
    'that made the call held. What is not tried is a gap, and has its reason below; what is neither fails the tests.',
    'The libraries for Vault meet a double where the server would ask a cluster, a Redis or an identity provider; the other',
    'programs on this page, and the suites in `test/real`, are the real ones.',
    '',
    '| client | version | it has | tried | match | gaps |',
    '|---|---|---|---|---|---|',
    ...told.map(rowOf),
    ...told.flatMap(sectionOf),
    '',
  ].join('\n');
}

interface Told {
  readonly about: About;
  readonly run: ClientRun;
}

const rowOf = ({ about, run }: Told): string => {
  const has = run.offers === undefined ? '' : `${run.offers} ${about.calls}`;
  const gaps = run.offers === undefined ? '' : Object.keys(run.gaps).length;
  return `| ${about.title} | ${run.version} | ${has} | ${run.tried.length} | ${run.matching.length} | ${gaps} |`;
};

function sectionOf({ about, run }: Told): string[] {
  const failing = run.tried.filter((call) => !run.matching.includes(call));
  return [
    '',
    `## ${about.title}`,
    ...(failing.length === 0 ? [] : ['', `Tried, and not matching: ${codes(failing)}.`]),
    ...(run.offers === undefined ? ['', ...run.tried.map((call) => `- ${call}`)] : gapsOf(run)),
  ];
}

/** The gaps by their reasons, in the order of the names. */
function gapsOf({ gaps }: ClientRun): string[] {
  const byReason = new Map<string, string[]>();
  for (const call of Object.keys(gaps).sort())
    byReason.set(gaps[call] ?? '', [...(byReason.get(gaps[call] ?? '') ?? []), call]);
  if (byReason.size === 0) return ['', 'No gap.'];
  return [
    '',
    ...[...byReason].map(([reason, calls]) => `- **${reason}** (${calls.length}): ${codes(calls)}`),
  ];
}

const codes = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ');

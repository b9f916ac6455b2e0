/**
 * What a document tells people to type, as data: each command with its line, as it is run here, what has to be seen
 * afterwards, and what was wrong with it. test/real/seeds.test.ts runs it; docs/seeds.md is made of it.
 */

import type { KubeObject } from '../../../src/kube/kube.ts';

/** A line of the document, or the first and the last one of a command that goes over several. */
export type Lines = number | readonly [first: number, last: number];

/** Something to look at, by a command of the shell. */
export interface Look {
  /** A sentence: what is seen. */
  readonly seen: string;
  readonly run: string;
  /** What it prints on standard output. */
  readonly says?: RegExp;
  /** What it prints on standard error. */
  readonly complains?: RegExp;
  /** The exit code; 0 where absent. */
  readonly code?: number;
}

export interface Mistake {
  /** What the document does, and what becomes of it, in our words. */
  readonly was: string;
  /** The command as it stands in the document, where its failure can be shown: run before the mended one. */
  readonly shown?: Look;
}

/** What the machine must have. */
export type Need = 'postgresql';

interface Placed {
  readonly line: Lines;
  /** A piece of the document's line, by which a test knows that the number is right. */
  readonly original: string;
  readonly mended?: Mistake;
}

/** Run by a shell, in one session: variables and functions stay. */
export interface Command extends Placed {
  readonly run: string;
  readonly says?: RegExp;
  /** The exit code; 0 where absent. */
  readonly code?: number;
  readonly after?: readonly Look[];
  readonly needs?: Need;
}

export type ServerAct = 'start' | 'stop' | 'restart' | 'wipe';

/** What the cluster does to the pod; the runner does it to the server's process and folder. */
export interface Act extends Placed {
  readonly act: ServerAct;
  readonly run: string;
  readonly after?: readonly Look[];
}

/** Belongs to a program that is no part of this, and is passed over with its reason. */
export interface Elsewhere extends Placed {
  readonly elsewhere: string;
}

/** Commands that the document leaves out although what follows needs them; `line` is where they are missed. */
export interface Missing {
  readonly line: Lines;
  readonly original: string;
  readonly mended: Mistake;
  readonly run: string;
  readonly says?: RegExp;
  readonly after?: readonly Look[];
  readonly needs?: Need;
  readonly missing: true;
}

export type Step = Command | Act | Elsewhere | Missing;

export interface Script {
  /** The name of the document's file. */
  readonly document: string;
  readonly title: string;
  /** The server's configuration, after the document's own where it has one. */
  readonly config: { readonly line?: Lines; readonly text: string; readonly mistakes: readonly Mistake[] };
  /** Further clusters than the primary one, by the name of their context. */
  readonly virtualClusters: readonly string[];
  /** What the primary cluster, and each virtual one, has before anybody begins. */
  readonly objects: { readonly primary: readonly KubeObject[]; readonly virtual: readonly KubeObject[] };
  /** What PostgreSQL has, as lines for psql. */
  readonly databases: readonly string[];
  /** NAME=VALUE of what the scripts take from the environment, and the document does not print. */
  readonly environment: readonly string[];
  readonly steps: readonly Step[];
}

/** The first and the last line. */
export const rangeOf = (line: Lines): readonly [number, number] =>
  typeof line === 'number' ? [line, line] : line;

/** "12" or "12-15". */
export const linesText = (line: Lines): string => {
  const [first, last] = rangeOf(line);
  return first === last ? String(first) : `${first}-${last}`;
};

/** Mistakes of a document in its order. */
export function mistakesOf(
  script: Script,
): readonly { readonly line: string; readonly was: string; readonly ran: string }[] {
  const { config } = script;
  const ofConfig = config.mistakes.map(({ was }) => ({
    first: rangeOf(config.line ?? 0)[0],
    line: linesText(config.line ?? 0),
    was,
    ran: 'the configuration below',
  }));
  const ofSteps = script.steps.flatMap((step) =>
    step.mended === undefined
      ? []
      : [
          {
            first: rangeOf(step.line)[0],
            line: linesText(step.line),
            was: step.mended.was,
            ran: 'run' in step ? headOf(step.run) : 'nothing',
          },
        ],
  );
  return [...ofConfig, ...ofSteps].sort((a, b) => a.first - b.first);
}

/** The first line that says something, without its continuation. */
const headOf = (run: string): string => {
  const lines = run.trim().split('\n');
  const first = (lines.find((line) => !line.startsWith('#')) ?? '').replace(/\s*\\$/, '').trim();
  return lines.length > 1 ? `${first} ...` : first;
};

/** Namespace, and accounts in it. */
export const namespaceWith = (namespace: string, ...accounts: readonly string[]): KubeObject[] => [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
  ...accounts.map((name) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace, name } })),
];

/** Lets an account ask whose a token is, as the charts grant it. */
export const reviewer = (namespace: string, name: string): KubeObject => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRoleBinding',
  metadata: { name: 'vault-server-binding' },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:auth-delegator' },
  subjects: [{ kind: 'ServiceAccount', name, namespace }],
});

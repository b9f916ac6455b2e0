/** The real kubectl of this machine, run as a person types it. Whoever uses it says loudly where there is none. */

import { execFile, execFileSync } from 'node:child_process';

/** Undefined where kubectl is present; else the reason why what needs it is skipped. */
export const noKubectl: string | undefined = (() => {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'there is no kubectl on this machine';
  }
})();

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Kubectl {
  /** Runs a line; words in single quotes stay together. Never rejects. */
  run(line: string, input?: string): Promise<Ran>;
  /** The trimmed output of a line that has to succeed. @throws Error with what kubectl said */
  ok(line: string, input?: string): Promise<string>;
  /** `kubectl apply -f -` of YAML or of objects. */
  apply(...manifests: readonly (string | object)[]): Promise<string>;
}

/** @param env of the child: it needs KUBECONFIG, HOME and PATH */
export function kubectl(env: Readonly<Record<string, string>>): Kubectl {
  const run = (line: string, input = ''): Promise<Ran> =>
    new Promise((resolve) => {
      const words = (line.match(/(?:[^\s']|'[^']*')+/g) ?? []).map((word) => word.replaceAll("'", ''));
      const options = { env, encoding: 'utf8', timeout: 25_000, maxBuffer: 1 << 26 } as const;
      const child = execFile('kubectl', words, options, (error, out, err) => {
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, out, err });
      });
      // A kubectl that fails at its flags is gone before it has read anything.
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(input);
    });
  const ok = async (line: string, input?: string): Promise<string> => {
    const { code, out, err } = await run(line, input);
    if (code !== 0) throw new Error(`kubectl ${line}: exit ${code}\n${out}${err}`);
    return out.trim();
  };
  // A leading brace would make kubectl take the whole stream for JSON.
  const textOf = (manifest: string | object): string =>
    typeof manifest === 'string' ? manifest : JSON.stringify(manifest);
  return {
    run,
    ok,
    apply: (...manifests) => ok('apply -f -', `---\n${manifests.map(textOf).join('\n---\n')}`),
  };
}

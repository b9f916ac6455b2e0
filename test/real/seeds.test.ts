/**
 * The scripts of the documents that this project began with, command by command, each mistake mended: with our own command
 * line, with `vault` or `bao` where one is on the PATH, and from a real kube-apiserver where there is one. The commands, what
 * each has to show, and what was wrong are data in test/seeds/scripts; docs/seeds.md is made of the same.
 */

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assets, type ClusterKind } from '../seeds/scripts/clusters.ts';
import { scripts } from '../seeds/scripts/index.ts';
import { type Look, linesText, mistakesOf, type Script, type Step } from '../seeds/scripts/script.ts';
import { type Ran, startWorld, type World } from '../seeds/scripts/world.ts';
import { type Bundle, freshBundle } from '../support/bundle.ts';
import { noKubectl } from '../support/kubectl.ts';
import { hasPostgresql, ROOT, type Started, startPostgresql } from './database-servers.ts';

const folders = (process.env['PATH'] ?? '').split(delimiter);
const isOnPath = (name: string): boolean => folders.some((folder) => existsSync(join(folder, name)));
const missing = ['bash', 'jq', 'curl', 'openssl'].filter((name) => !isOnPath(name));
const skipped =
  noKubectl ?? (missing.length > 0 ? `there is no ${missing.join(', no ')} on this machine` : undefined);
if (skipped !== undefined) console.warn(`SKIPPED test/real/seeds: ${skipped}`);

const withDatabase = hasPostgresql() && isOnPath('psql');
if (!withDatabase)
  console.warn(
    'SKIPPED test/real/seeds, the steps of databases: no initdb and psql on the PATH, or no user postgres',
  );

const foreign = ['vault', 'bao'].find(isOnPath);
if (foreign === undefined)
  console.warn(
    'SKIPPED test/real/seeds with a foreign command line: neither `vault` nor `bao` is on the PATH',
  );
if (assets === undefined)
  console.warn(
    'SKIPPED test/real/seeds on a real API server: no kube-apiserver and etcd in /usr/local/kubebuilder/bin (KUBEBUILDER_ASSETS names another folder)',
  );

interface Variant {
  readonly name: string;
  readonly foreign: boolean;
  readonly clusters: ClusterKind;
}
const variants: readonly Variant[] = [
  { name: 'holdfast, embedded Kubernetes', foreign: false, clusters: 'embedded' },
  ...(foreign === undefined
    ? []
    : [{ name: `${foreign}, embedded Kubernetes`, foreign: true, clusters: 'embedded' } as const]),
  ...(assets === undefined
    ? []
    : [{ name: 'holdfast, kube-apiserver', foreign: false, clusters: 'kube-apiserver' } as const]),
];

describe.skipIf(skipped !== undefined)('the scripts of the documents', () => {
  let made: Bundle;
  let bundle: string;

  beforeAll(async () => {
    made = await freshBundle('seeds');
    bundle = made.file;
  });
  afterAll(async () => {
    await made?.remove();
    console.info(mistakesTable());
  });

  for (const variant of variants)
    describe(variant.name, () => {
      for (const script of scripts)
        test(`${script.title}: runs to the end, each mistake being shown and mended`, async () => {
          const postgres =
            withDatabase && script.databases.length > 0 ? await startPostgresql('postgres') : undefined;
          try {
            await runScript(script, variant, bundle, postgres);
          } finally {
            await postgres?.stop();
          }
        }, 1_200_000);
    });
});

async function runScript(
  script: Script,
  variant: Variant,
  bundle: string,
  postgres: Started | undefined,
): Promise<void> {
  const world = await startWorld(script, {
    bundle,
    cli: variant.foreign ? [foreign ?? ''] : [process.execPath, bundle],
    clusters: variant.clusters,
    ...(postgres === undefined ? {} : { postgresql: { port: postgres.port, password: ROOT } }),
    environment: script.environment,
  });
  const unmet: string[] = [];
  try {
    let ran = 0;
    for (const step of script.steps) {
      if ('needs' in step && step.needs === 'postgresql' && postgres === undefined) continue;
      if (!(await runStep(world, script, step, unmet))) break;
      ran++;
    }
    expect(unmet.join('\n\n')).toBe('');
    const token = (await world.look('printf %s "$VAULT_TOKEN"')).out;
    expect(token).toMatch(/^\S{20,}$/);
    expect(world.logged()).not.toContain(token);
    console.info(`${script.document}: ${ran} steps with ${variant.name}`);
  } finally {
    await world.stop();
  }
}

/** What is not seen is noted, and the script goes on; false where the command itself failed, on which the rest builds. */
async function runStep(world: World, script: Script, step: Step, unmet: string[]): Promise<boolean> {
  if ('elsewhere' in step) return true;
  const at = `${script.document}:${linesText(step.line)}`;
  const look = async (where: string, wanted: Look): Promise<void> => {
    unmet.push(...judge(where, wanted, await world.look(wanted.run)));
  };
  const shown = step.mended?.shown;
  if (shown !== undefined) await look(`${at}, as it stands`, shown);
  if ('act' in step) await world.act(step.act);
  else {
    const { code, out, err } = await world.type(step.run);
    const wanted: Look = {
      seen: 'it runs',
      run: step.run,
      ...('code' in step && step.code !== undefined ? { code: step.code } : {}),
      ...(step.says === undefined ? {} : { says: step.says }),
    };
    const problem = judge(at, wanted, { code, out, err });
    unmet.push(...problem);
    if (problem.length > 0) return false;
  }
  for (const one of step.after ?? []) await look(at, one);
  return true;
}

/** Nothing, or what was not so. */
function judge(at: string, wanted: Look, { code, out, err }: Ran): readonly string[] {
  const good =
    code === (wanted.code ?? 0) &&
    (wanted.says === undefined || wanted.says.test(out.trim())) &&
    (wanted.complains === undefined || wanted.complains.test(err));
  if (good) return [];
  return [
    `${at}: not so: ${wanted.seen}\n$ ${wanted.run}\nexit ${code}, not ${wanted.code ?? 0}; to be printed: ${wanted.says ?? 'anything'}, ${wanted.complains ?? 'anything'}\n${out}\n2> ${err}`,
  ];
}

/** document:line, what the original does, what was run. */
const mistakesTable = (): string =>
  scripts
    .flatMap((script) =>
      mistakesOf(script).map(
        ({ line, was, ran }) => `${script.document}:${line}\n  was  ${was}\n  ran  ${ran}`,
      ),
    )
    .join('\n');

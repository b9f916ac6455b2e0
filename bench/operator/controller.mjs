// The operator as the built program `holdfast controller`, over a cluster and a store of `../operator.mjs`, and what a piece of
// its work costs.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProgram } from '../parts/program.mjs';
import { forkModule } from './fork.mjs';
import { startStore } from './store.mjs';

const PROGRAM = fileURLToPath(new URL('../../dist/holdfast.js', import.meta.url));

/** A cluster, a store and the operator between them, which is not started yet. */
export async function startGround(options) {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  const store = await startStore();
  const cluster = await forkModule('bench/operator/cluster.mjs');
  await writeFile(join(dir, 'kubeconfig'), cluster.first.kubeconfig, { mode: 0o600 });
  let program;
  return {
    store,
    cluster,
    get program() {
      return program;
    },
    start() {
      program = startProgram(process.execPath, [
        ...(options.profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', options.profile]),
        ...[options.program ?? PROGRAM, 'controller', '--kubeconfig', join(dir, 'kubeconfig')],
        ...['--metrics-addr', '0', '--live-addr', '0', '--loglevel', 'warn'],
        ...['--egress-allow', `127.0.0.1:${store.port}`],
      ]);
      program.startedAt = performance.now();
    },
    /** What a piece of work takes: the time that it gives, or all of it; of the program, of the API server, of the stores. */
    async phase(work) {
      const api = cluster.usage();
      const cpu = program?.usage()?.cpuSeconds ?? 0;
      const began = performance.now();
      const ms = (await work()) ?? performance.now() - began;
      return {
        ms,
        endedAt: performance.now(),
        // A program that was started in it began at nothing.
        cpu: program.usage().cpuSeconds - (program.startedAt > began ? 0 : cpu),
        apiCpu: cluster.usage().cpuSeconds - api.cpuSeconds,
        peakMb: program.usage().peakMb,
        reads: store.take(),
        ...(await cluster.ask('counts')),
      };
    },
    async stop() {
      await program?.stop();
      await cluster.stop();
      await store.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

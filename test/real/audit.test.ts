/** Audit devices against an rsyslogd of this machine: what it writes down is a trail that verifies. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { verifyChain } from '../../src/base/chain.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { auditLinks } from '../../src/bin/auditlinks.ts';
import { createAuditBroker, type ManagedAuditBroker } from '../../src/server/audit/broker.ts';
import { MemoryBackend } from '../../src/storage/memory.ts';
import { freePort } from '../support/ports.ts';

const found = (() => {
  try {
    execFileSync('rsyslogd', ['-v'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();
if (!found) console.warn('SKIPPED test/real/audit: no rsyslogd on the PATH');

describe.skipIf(!found)('the trail at an rsyslogd', () => {
  let folder: string;
  let port: number;
  let daemon: ChildProcess;
  let broker: ManagedAuditBroker;
  const request = { id: 'r', operation: 'read', path: 'secret/é', remote: { address: '', port: 0 } };
  const file = () => join(folder, 'audit.log');
  const lines = () => {
    try {
      return readFileSync(file(), 'utf8').split('\n');
    } catch {
      return [];
    }
  };
  const ask = (id: string) => broker.record('request', { request: { ...request, id } });
  const start = (): void => {
    const args = ['-n', '-f', join(folder, 'rsyslog.conf'), '-i', join(folder, 'pid')];
    daemon = spawn('rsyslogd', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  };
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    const ended = new Promise((resolve) => daemon.once('close', resolve));
    daemon.kill(signal);
    await ended;
    rmSync(join(folder, 'pid'), { force: true });
  };
  const enable = (path: string, socketType: string) =>
    broker.enable(path, {
      type: 'syslog',
      description: '',
      options: {
        address: `127.0.0.1:${port}`,
        socket_type: socketType,
        facility: 'LOCAL4',
        tag: 'holdfast',
        prefix: path,
      },
      local: false,
    });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'holdfast-rsyslog-'));
    port = await freePort();
    writeFileSync(
      join(folder, 'rsyslog.conf'),
      `global(workDirectory="${folder}" maxMessageSize="64k")
module(load="imtcp")
module(load="imudp")
input(type="imtcp" address="127.0.0.1" port="${port}")
input(type="imudp" address="127.0.0.1" port="${port}")
template(name="plain" type="string" string="%syslogfacility-text% %programname% %procid% %msg%\\n")
local4.* action(type="omfile" file="${file()}" template="plain")
`,
    );
    start();
    const way = auditLinks({ target: (host, at) => ({ host, port: at }), allow: () => true });
    const storage = new MemoryBackend();
    broker = createAuditBroker({ storage, clock: systemClock, log: silentLog, openLink: way });
    await vi.waitFor(() => enable('tcp/', 'tcp'), { timeout: 20_000, interval: 100 });
  });
  afterAll(async () => {
    await broker.close();
    await stop('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  test('arrives over TCP with facility, program and process, and verifies against its anchors', async () => {
    await Promise.all(Array.from({ length: 300 }, (_, i) => ask(`tcp-${i}`)));
    await vi.waitFor(() => expect(lines().join()).toContain('"id":"tcp-299"'), { timeout: 20_000 });
    const written = lines();
    expect(written[0]).toMatch(new RegExp(`^local4 holdfast ${process.pid} {1,2}tcp/\\{`));
    expect(verifyChain(written, { anchors: await broker.anchors('tcp/') })).toEqual([]);
    // The first line, which tests the device, is a group of its own.
    expect(verifyChain(written.toSpliced(7, 1))).toMatchObject([{ kind: 'missing', from: 2, to: 257 }]);
  });

  test('goes on after the daemon was killed and started again, and what got lost with it shows', async () => {
    await stop('SIGKILL');
    await vi.waitFor(() => expect(ask('down')).rejects.toMatchObject({ code: 'audit.failed' }), {
      timeout: 20_000,
      interval: 50,
    });
    start();
    await vi.waitFor(() => ask('back'), { timeout: 20_000, interval: 100 });
    await vi.waitFor(() => expect(lines().join()).toContain('"id":"back"'), { timeout: 20_000 });
    const findings = verifyChain(lines(), { anchors: await broker.anchors('tcp/') });
    expect(findings.filter(({ kind }) => kind !== 'missing')).toEqual([]);
  });

  test('arrives over UDP too, as datagrams of RFC 5424', async () => {
    await broker.disable('tcp/');
    await enable('udp/', 'udp');
    for (let i = 0; i < 20; i++) await ask(`udp-${i}`);
    await vi.waitFor(() => expect(lines().join()).toContain('"id":"udp-19"'), { timeout: 20_000 });
    const written = lines().filter((line) => line.includes('udp/{'));
    expect(verifyChain(written, { anchors: await broker.anchors('udp/') })).toEqual([]);
  });
});

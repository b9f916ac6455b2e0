import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { utf8 } from '../../base/bytes.ts';
import { ManualClock, systemClock } from '../../base/clock.ts';
import type { AuditSink } from './audit.ts';
import { describeSink } from './conformance.ts';
import type { AuditLink, LinkTarget, OpenLink } from './link.ts';
import { readSettings } from './settings.ts';
import { sinkOpener } from './sinks.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-sinks-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const target = (type: string, options: Record<string, string>) => readSettings({ type, options }).target;
const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');
const turn = () => new Promise((resolve) => setImmediate(resolve));

describeSink('a file', async () => {
  const path = join(folder, 'audit.log');
  const sink = await sinkOpener({ clock: systemClock })('file/', target('file', { file_path: path }));
  return { sink, arrived: () => linesOf(readFileSync(path, 'utf8')), end: async () => {} };
});

describeSink('a file that waits for the disk', async () => {
  const path = join(folder, 'audit.log');
  const options = { file_path: path, fsync: 'true' };
  const sink = await sinkOpener({ clock: systemClock })('file/', target('file', options));
  return { sink, arrived: () => linesOf(readFileSync(path, 'utf8')), end: async () => {} };
});

describeSink('standard output', async () => {
  const chunks: Buffer[] = [];
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      setImmediate(done);
    },
  });
  const sink = await sinkOpener({ clock: systemClock, output })(
    'out/',
    target('file', { file_path: 'STDOUT' }),
  );
  return { sink, arrived: () => linesOf(Buffer.concat(chunks).toString()), end: async () => {} };
});

/** A connection that keeps what it is sent, and does as the test says. */
class Wire {
  readonly sent: string[] = [];
  opened = 0;
  closed = 0;
  behaviour: 'take' | 'hang' | 'fail' = 'take';
  reachable: 'yes' | 'no' | 'never answers' = 'yes';
  isGone = false;

  readonly open: OpenLink = async () => {
    if (this.reachable === 'never answers') return new Promise<AuditLink>(() => {});
    if (this.reachable === 'no') throw new Error('nobody listens');
    this.opened++;
    this.isGone = false;
    const wire = this;
    return {
      get gone() {
        return wire.isGone;
      },
      send: async (bytes) => {
        if (this.behaviour === 'hang') return new Promise(() => {});
        if (this.behaviour === 'fail') throw new Error('broken');
        this.sent.push(Buffer.from(bytes).toString());
      },
      close: () => {
        this.closed++;
      },
    };
  };
}

const connected = async (options: Record<string, string> = {}, type = 'socket') => {
  const clock = new ManualClock(Date.UTC(2026, 10, 2, 5, 4, 3, 21));
  const wire = new Wire();
  const given = target(type, { address: 'collector:5140', ...options });
  const sink = await sinkOpener({ clock, openLink: wire.open })('x/', given);
  return { clock, wire, sink };
};
const append = (sink: AuditSink, text: string) => sink.append(utf8(text));

describe('a connection', () => {
  it('is made with the first line, and kept', async () => {
    const { wire, sink } = await connected();
    expect(wire.opened).toBe(0);
    await append(sink, 'a\nb\n');
    await append(sink, 'c\n');
    expect(wire.sent).toEqual(['a\nb\n', 'c\n']);
    expect(wire.opened).toBe(1);
  });
  it('is made anew where the other end is gone', async () => {
    const { wire, sink } = await connected();
    await append(sink, 'a\n');
    wire.isGone = true;
    await append(sink, 'b\n');
    expect([wire.opened, wire.closed]).toEqual([2, 1]);
  });
  it('that takes nothing is given up after write_timeout, and the next line connects again', async () => {
    const { wire, sink, clock } = await connected({ write_timeout: '300ms' });
    wire.behaviour = 'hang';
    const late = expect(append(sink, 'a\n')).rejects.toThrow('nothing was taken within 300 ms');
    await turn();
    clock.advance(301);
    await late;
    expect(wire.closed).toBe(1);
    wire.behaviour = 'take';
    await append(sink, 'b\n');
    expect(wire.sent).toEqual(['b\n']);
    expect(wire.opened).toBe(2);
  });
  it('that is never made is given up too', async () => {
    const { wire, sink, clock } = await connected();
    wire.reachable = 'never answers';
    const late = expect(append(sink, 'a\n')).rejects.toThrow('nothing was taken within 2000 ms');
    await turn();
    clock.advance(2001);
    await late;
  });
  it('over UDP sends each line by itself', async () => {
    const { wire, sink } = await connected({ socket_type: 'udp' });
    await append(sink, 'a\nb\n');
    expect(wire.sent).toEqual(['a\n', 'b\n']);
  });
});

describe('syslog', () => {
  it('says over TCP what RFC 5424 says, with the number of bytes before it', async () => {
    const { wire, sink } = await connected({ facility: 'local3', tag: 'holdfast' }, 'syslog');
    await append(sink, '{"é":1}\n{}\n');
    const [sent = ''] = wire.sent;
    const pattern =
      /^(\d+) (<158>1 2026-11-02T05:04:03\.021Z \S+ holdfast \d+ audit - \{"é":1\})(\d+) (<158>1 .* - \{\})$/;
    const [, first, one = '', second, two = ''] = pattern.exec(sent) ?? [];
    expect(Number(first)).toBe(Buffer.byteLength(one));
    expect(Number(second)).toBe(Buffer.byteLength(two));
  });
  it('says the same over UDP, bare', async () => {
    const { wire, sink } = await connected({ socket_type: 'udp' }, 'syslog');
    await append(sink, '{}\n');
    expect(wire.sent[0]).toMatch(/^<38>1 2026-11-02T05:04:03\.021Z \S+ vault \d+ audit - \{\}$/);
  });
  it('speaks to the daemon of the machine as C libraries do', async () => {
    const { wire, sink } = await connected({ address: '' }, 'syslog');
    await append(sink, '{}\n');
    expect(wire.sent[0]).toMatch(/^<38>Nov {2}\d \d\d:\d\d:\d\d vault\[\d+\]: \{\}\n$/);
  });
});

describe('the options', () => {
  it('of a socket and of syslog have the defaults of upstream', () => {
    expect(target('socket', { address: '[::1]:9000' })).toEqual({
      kind: 'socket',
      link: { network: 'tcp', host: '::1', port: 9000 },
      timeoutMs: 2000,
    });
    expect(target('syslog', {})).toEqual({
      kind: 'syslog',
      link: { network: 'unix', path: '/dev/log' } satisfies LinkTarget,
      timeoutMs: 2000,
      facility: 4,
      tag: 'vault',
    });
  });
  it.each([
    ['socket', {}, 'address is required'],
    ['socket', { address: 'nowhere' }, 'address is not HOST:PORT'],
    ['socket', { address: 'user:password@host:1' }, 'address is not HOST:PORT'],
    ['socket', { address: 'h:70000' }, 'address is not HOST:PORT'],
    ['socket', { address: 'h:1', socket_type: 'unixgram' }, 'socket_type "unixgram" is not offered'],
    ['socket', { address: 'run/x', socket_type: 'unix' }, 'address is not the path of a socket'],
    ['socket', { address: `/${'x'.repeat(108)}`, socket_type: 'unix' }, 'at most 107 bytes'],
    ['socket', { address: 'h:1', write_timeout: '0' }, 'write_timeout is not between'],
    ['socket', { address: 'h:1', write_timeout: '2h' }, 'write_timeout is not between'],
    ['socket', { address: 'h:1', write_timeout: 'soon' }, 'write_timeout is not a duration'],
    ['socket', { address: 'h:1', file_path: '/x' }, 'the option "file_path" is not known'],
    ['syslog', { facility: 'NOWHERE' }, 'there is no facility "NOWHERE"'],
    ['syslog', { facility: '' }, 'there is no facility ""'],
    ['syslog', { tag: 'two words' }, 'tag is not'],
    ['file', { file_path: 'x', format: 'jsonx' }, 'the format "jsonx" is not offered'],
    ['file', { file_path: 'x', mode: '9' }, 'mode is not an octal number'],
    ['file', { file_path: 'x', log_raw: 'perhaps' }, 'log_raw is not true or false'],
  ])('of %s %j are refused', (type, options, reason) => {
    expect(() => target(type, options as unknown as Record<string, string>)).toThrow(reason);
  });
  it('name a type that there is', () => {
    expect(() => target('http', {})).toThrow('unknown backend type: http');
    expect(() => target('constructor', {})).toThrow('unknown backend type: constructor');
  });
});

describe('a file', () => {
  const open = (options: Record<string, string>) =>
    sinkOpener({ clock: systemClock })('file/', target('file', options));
  const path = () => join(folder, 'below', 'deep', 'audit.log');

  it('is made with its folders, readable by its owner alone', async () => {
    const sink = await open({ file_path: path() });
    await sink.close();
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'below')).mode & 0o777).toBe(0o700);
  });
  it('that is there gets the mode that is asked for, or keeps its own with 0000; it never becomes a program', async () => {
    const file = join(folder, 'audit.log');
    writeFileSync(file, '', { mode: 0o644 });
    chmodSync(file, 0o644);
    await (await open({ file_path: file, mode: '0000' })).close();
    expect(statSync(file).mode & 0o777).toBe(0o644);
    await (await open({ file_path: file, mode: '0750' })).close();
    expect(statSync(file).mode & 0o777).toBe(0o640);
    await (await open({ file_path: file })).close();
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });
  it('named discard takes everything and makes no file', async () => {
    const sink = await open({ file_path: 'discard' });
    await append(sink, 'a\n');
    await sink.close();
    expect(existsSync('discard')).toBe(false);
  });
});

describe('standard output', () => {
  it('that nobody reads any more fails the line and not the server', async () => {
    const output = new Writable({
      write(_chunk, _encoding, done) {
        done(Object.assign(new Error('gone'), { code: 'EPIPE' }));
      },
    });
    const sink = await sinkOpener({ clock: systemClock, output })('out/', { kind: 'stdout' });
    await expect(append(sink, 'a\n')).rejects.toMatchObject({ code: 'EPIPE' });
    await turn();
    await sink.close();
  });
});

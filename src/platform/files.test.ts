import { describe, expect, test } from 'vitest';
import { isFailure } from '../base/errors.ts';
import { readToml, readYaml } from './files.ts';
import { inWaves, manifestsOf } from './manifests.ts';

function complaint(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (isFailure(error)) return `${error.message} ${error.hint ?? ''}`;
    throw error;
  }
  throw new Error('it should have failed');
}

describe('YAML is read as kubectl reads it', () => {
  const value = (text: string): unknown => readYaml('x.yaml', text)[0]?.value;

  test.each([
    ['a leading zero is octal', 'defaultMode: 0600', { defaultMode: 384 }],
    ['a point alone is text', 'regexp: .', { regexp: '.' }],
    [
      'what begins with its exponent is text',
      'a: e1\nb: E10\nc: 1e3\nd: .5',
      { a: 'e1', b: 'E10', c: 1000, d: 0.5 },
    ],
    ['yes and off are booleans', 'a: yes\nb: off', { a: true, b: false }],
    ['a quoted number is text', 'port: "8200"', { port: '8200' }],
    ['a date is text', 'day: 2026-01-02', { day: '2026-01-02' }],
    ['a time of day is text, not base 60', 'at: 10:30', { at: '10:30' }],
    ['a merge key merges', 'a: &a {x: 1}\nb:\n  <<: *a\n  z: 2', { a: { x: 1 }, b: { x: 1, z: 2 } }],
    [
      'y, n, yes, off and True are booleans, as keys too',
      'y: yes\nn: off\nt: True',
      { true: true, false: false, t: true },
    ],
    [
      'numbers have every spelling of go-yaml',
      '[0o17, 0x1F, 1_000, 0b11, .5, +5, 1e3, ~]',
      [15, 31, 1000, 3, 0.5, 5, 1000, null],
    ],
    [
      'base 60 and time stamps are text',
      '["190:20:30", 190:20:30, 2001-12-14t21:59:43.10-05:00]',
      ['190:20:30', '190:20:30', '2001-12-14t21:59:43.10-05:00'],
    ],
    ['a key given twice keeps its last value', 'a: 1\na: 2', { a: 2 }],
  ])('%s', (_, text, expected) => {
    expect(value(text)).toEqual(expected);
  });

  test('each document of a file knows its line', () => {
    expect(readYaml('x.yaml', 'a: 1\n---\n\nb: 2\n').map((d) => d.line)).toEqual([1, 4]);
  });
});

describe('a mistake is one line with file, line and mend, and none of the text', () => {
  test.each([
    ['a tab', 'a:\n\tb: hunter2', 'x.yaml:2'],
    ['a key given twice', 'a: 1\nb: hunter2\na: 3', 'x.yaml:3'],
    ['an open quote', 'a: "hunter2\nb: 1', 'x.yaml:'],
    ['two pairs on one line', 'a: b: hunter2', 'x.yaml:1'],
  ])('YAML with %s', (_, text, at) => {
    const message = complaint(() => readYaml('x.yaml', text, { strict: true }));
    expect(message).toContain(at);
    expect(message).toContain('To mend it');
    expect(message).not.toContain('hunter2');
    expect(message).not.toContain('\n');
  });

  test('aliases that multiply without end', () => {
    const bomb = [
      'a: &a [x, x, x, x, x, x, x, x, x]',
      ...'bcdefghi'.split('').map((k, i) => `${k}: &${k} [${`*${'abcdefghi'[i]},`.repeat(9).slice(0, -1)}]`),
    ].join('\n');
    expect(complaint(() => readYaml('x.yaml', bomb))).toContain('aliases');
  });

  test('TOML', () => {
    const message = complaint(() => readToml('config.toml', '[passwords]\nx = "ok"\ny = hunter2 oops\n'));
    expect(message).toContain('config.toml:3');
    expect(message).not.toContain('hunter2');
  });

  test('YAML that is no manifest', () => {
    expect(
      complaint(() =>
        manifestsOf({ file: 'm.yaml', line: 7, value: { kind: 'X', metadata: { name: 'x' } } }),
      ),
    ).toContain('m.yaml:7: this is no Kubernetes manifest: it has no apiVersion');
  });
});

test('manifests go wave by wave, and within one what others stand on goes first', () => {
  const manifest = (kind: string, name: string, wave?: string) =>
    manifestsOf({
      file: 'm',
      line: 1,
      value: {
        apiVersion: 'v1',
        kind,
        metadata: { name, ...(wave ? { annotations: { 'argocd.argoproj.io/sync-wave': wave } } : {}) },
      },
    });
  const waves = inWaves([
    ...manifest('ExternalSecret', 'e'),
    ...manifest('Deployment', 'd', '1'),
    ...manifest('SecretStore', 's'),
    ...manifest('Namespace', 'n', '-2'),
  ]);
  expect(waves.map((w) => [w.wave, w.manifests.map((m) => m.object.kind)])).toEqual([
    [-2, ['Namespace']],
    [0, ['SecretStore', 'ExternalSecret']],
    [1, ['Deployment']],
  ]);
});

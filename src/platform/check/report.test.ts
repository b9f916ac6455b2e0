import { describe, expect, test } from 'vitest';
import { failure } from '../../base/errors.ts';
import type { Checked } from './check.ts';
import type { Finding } from './finding.ts';
import { report } from './report.ts';

const finding = (cls: Finding['class'], line: number, object: string, field: string): Finding => ({
  class: cls,
  file: 'a b/app.yaml',
  line,
  column: 3,
  object,
  failure: failure('check.unknown_field', { where: 'spec', field, near: '' }),
});
const checked: Checked = {
  findings: [
    finding('error', 4, 'ExternalSecret team/app', 'x'),
    finding('warning', 5, 'ExternalSecret team/app', 'y'),
    finding('upstream-only', 9, 'SecretStore team/s', 'z'),
  ],
  objects: [
    { file: 'a b/app.yaml', line: 1, title: 'ExternalSecret team/app' },
    { file: 'a b/app.yaml', line: 8, title: 'SecretStore team/s' },
    { file: 'a b/app.yaml', line: 20, title: 'ConfigMap team/fine' },
  ],
  files: 1,
  unrendered: [],
};
const options = { version: '1.2.3' };

test('text has a line for each finding, that editors can open, its mend below, and a summary', () => {
  expect(report(checked, 'text', options)).toBe(
    `a b/app.yaml:4:3: error: ExternalSecret team/app: spec has no field "x" [check.unknown_field]
    Correct or remove it: it does nothing, and kubectl refuses it.
a b/app.yaml:5:3: warning: ExternalSecret team/app: spec has no field "y" [check.unknown_field]
    Correct or remove it: it does nothing, and kubectl refuses it.
a b/app.yaml:9:3: upstream-only: SecretStore team/s: spec has no field "z" [check.unknown_field]
    Correct or remove it: it does nothing, and kubectl refuses it.

1 error, 1 warning, 1 upstream-only, in 3 objects of 1 file
`,
  );
});

test('what files hold moves no cursor and makes no line of its own', () => {
  const evil = { ...checked, findings: [finding('error', 1, 'x', 'a\u001b[2K\nb: error')] };
  const lines = report(evil, 'text', options).split('\n');
  expect(lines[0]).not.toContain('\u001b');
  expect(lines).toHaveLength(5);
});

test('JSON has all of it, and where each code is explained', () => {
  const { findings, summary } = JSON.parse(report(checked, 'json', options)) as {
    findings: unknown[];
    summary: unknown;
  };
  expect(findings[0]).toEqual({
    class: 'error',
    code: 'check.unknown_field',
    file: 'a b/app.yaml',
    line: 4,
    column: 3,
    object: 'ExternalSecret team/app',
    message: 'spec has no field "x"',
    mend: 'Correct or remove it: it does nothing, and kubectl refuses it.',
    docs: 'docs/errors.md#checkunknown_field',
  });
  expect(summary).toEqual({ errors: 1, warnings: 1, upstreamOnly: 1, objects: 3, files: 1 });
});

test('SARIF names its version, its rules, and where each result is, by a reference that is escaped', () => {
  const log = JSON.parse(report(checked, 'sarif', options)) as {
    version: string;
    runs: [
      {
        tool: { driver: { version: string; rules: { id: string }[] } };
        results: { ruleId: string; ruleIndex: number; level: string; locations: unknown[] }[];
      },
    ];
  };
  const [run] = log.runs;
  expect(log.version).toBe('2.1.0');
  expect(run.tool.driver.version).toBe('1.2.3');
  expect(run.results.map(({ level }) => level)).toEqual(['error', 'warning', 'note']);
  expect(run.results.every(({ ruleId, ruleIndex }) => run.tool.driver.rules[ruleIndex]?.id === ruleId)).toBe(
    true,
  );
  expect(run.results[0]?.locations).toEqual([
    {
      physicalLocation: {
        artifactLocation: { uri: 'a%20b/app.yaml' },
        region: { startLine: 4, startColumn: 3 },
      },
    },
  ]);
});

describe('JUnit', () => {
  test('has a case for each object, failing where there is an error', () => {
    expect(report(checked, 'junit', options)).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="holdfast check" tests="3" failures="1" errors="0">
  <testsuite name="a b/app.yaml" tests="3" failures="1" errors="0" skipped="0">
    <testcase classname="a b/app.yaml" name="ExternalSecret team/app">
      <failure type="check.unknown_field" message="spec has no field &quot;x&quot;">a b/app.yaml:4: error: ExternalSecret team/app: spec has no field &quot;x&quot;. Correct or remove it: it does nothing, and kubectl refuses it. [check.unknown_field]</failure>
      <system-out>a b/app.yaml:5: warning: ExternalSecret team/app: spec has no field &quot;y&quot;. Correct or remove it: it does nothing, and kubectl refuses it. [check.unknown_field]</system-out>
    </testcase>
    <testcase classname="a b/app.yaml" name="SecretStore team/s">
      <system-out>a b/app.yaml:9: upstream-only: SecretStore team/s: spec has no field &quot;z&quot;. Correct or remove it: it does nothing, and kubectl refuses it. [check.unknown_field]</system-out>
    </testcase>
    <testcase classname="a b/app.yaml" name="ConfigMap team/fine"/>
  </testsuite>
</testsuites>
`);
  });
  test('leaves out what XML has no place for', () => {
    const evil = { ...checked, findings: [finding('error', 1, 'x', '\u0000]]></failure>\u001b')] };
    const text = report(evil, 'junit', options);
    expect(['\u0000', '\u001b'].filter((character) => text.includes(character))).toEqual([]);
    expect(text.match(/<\/failure>/g)).toHaveLength(1);
  });
});

test('nothing that was found is told as nothing', () => {
  const none: Checked = { findings: [], objects: [], files: 0, unrendered: [] };
  expect(report(none, 'text', options)).toBe(
    '0 errors, 0 warnings, 0 upstream-only, in 0 objects of 0 files\n',
  );
  expect(JSON.parse(report(none, 'sarif', options))).toMatchObject({ runs: [{ results: [] }] });
});

test('kustomizations that were not rendered are told in every format, and make nothing fail', () => {
  const some: Checked = {
    ...checked,
    findings: [],
    unrendered: [
      { file: 'dev/kustomization.yaml', sets: ['namePrefix', 'patches'] },
      { file: 'prod/kustomization.yaml', sets: ['patches'] },
    ],
  };
  const note =
    'Kustomizations are not rendered (2 of them, dev/kustomization.yaml first; namePrefix, patches): what they list was checked as it is written. Check what `kustomize build` makes of it, too.';
  expect(report(some, 'text', options)).toBe(
    `${note}\n0 errors, 0 warnings, 0 upstream-only, in 3 objects of 1 file\n`,
  );
  expect(JSON.parse(report(some, 'json', options))).toMatchObject({ unrendered: some.unrendered });
  expect(JSON.parse(report(some, 'sarif', options))).toMatchObject({
    runs: [{ results: [], invocations: [{ toolExecutionNotifications: [{ message: { text: note } }] }] }],
  });
  expect(report(some, 'junit', options)).toContain(`<!-- ${note} -->`);
});

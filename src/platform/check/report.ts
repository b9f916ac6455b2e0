/** What a check found, as people read it (text) and as other programs do: JSON, SARIF 2.1.0, JUnit. */

import { type Code, codes } from '../../base/codes.ts';
import { failure } from '../../base/errors.ts';
import { tame } from '../../base/tame.ts';
import type { Checked } from './check.ts';
import type { Finding, FindingClass } from './finding.ts';

const FORMATS = ['text', 'json', 'sarif', 'junit'] as const;
type ReportFormat = (typeof FORMATS)[number];

/** @throws Failure cli.usage */
export function formatOf(text: string): ReportFormat {
  const format = FORMATS.find((one) => one === text);
  if (format === undefined) throw failure('cli.usage', { reason: `-format is ${FORMATS.join(', ')}` });
  return format;
}

export interface ReportOptions {
  readonly version: string;
}

/** The report in a format; it ends with a line break. */
export function report(checked: Checked, format: ReportFormat, options: ReportOptions): string {
  switch (format) {
    case 'text':
      return text(checked);
    case 'json':
      return `${JSON.stringify(json(checked), undefined, 2)}\n`;
    case 'sarif':
      return `${JSON.stringify(sarif(checked, options), undefined, 2)}\n`;
    case 'junit':
      return junit(checked);
  }
}

const CLASSES: readonly FindingClass[] = ['error', 'warning', 'upstream-only'];

const countOf = ({ findings }: Checked, cls: FindingClass): number =>
  findings.filter((finding) => finding.class === cls).length;

/** The page of a code, in this repository. */
const pageOf = (code: Code): string => `docs/errors.md#${code.replaceAll('.', '')}`;

// What is shown was read from files of others: nothing of it may move a terminal's cursor or end a line.

function text(checked: Checked): string {
  const lines = checked.findings.map((finding) => {
    const { file, line, column, object, failure } = finding;
    const at = `${file}:${line}${column === undefined ? '' : `:${column}`}`;
    const about = object === undefined ? '' : `${object}: `;
    const mend = failure.hint === undefined ? '' : `    ${tame(failure.hint)}\n`;
    return `${tame(at)}: ${finding.class}: ${tame(about + failure.message)} [${failure.code}]\n${mend}`;
  });
  const notes = unrenderedOf(checked).map((note) => `${note}\n`);
  return `${lines.join('')}${lines.length === 0 ? '' : '\n'}${notes.join('')}${summary(checked)}\n`;
}

/** What is told of kustomizations that were not rendered: one sentence, however many there are. */
function unrenderedOf({ unrendered }: Checked): string[] {
  const [first] = unrendered;
  if (first === undefined) return [];
  const sets = [...new Set(unrendered.flatMap((one) => one.sets))].sort().join(', ');
  const where = unrendered.length === 1 ? first.file : `${unrendered.length} of them, ${first.file} first`;
  return [
    tame(
      `Kustomizations are not rendered (${where}; ${sets}): what they list was checked as it is written. Check what \`kustomize build\` makes of it, too.`,
    ),
  ];
}

function summary(checked: Checked): string {
  const [errors, warnings, upstream] = CLASSES.map((cls) => countOf(checked, cls));
  return `${plural(errors, 'error')}, ${plural(warnings, 'warning')}, ${upstream ?? 0} upstream-only, in ${plural(checked.objects.length, 'object')} of ${plural(checked.files, 'file')}`;
}

const plural = (count = 0, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

const json = (checked: Checked): object => ({
  findings: checked.findings.map(({ class: cls, file, line, column, object, failure }) => ({
    class: cls,
    code: failure.code,
    file,
    line,
    ...(column === undefined ? {} : { column }),
    ...(object === undefined ? {} : { object }),
    message: failure.message,
    ...(failure.hint === undefined ? {} : { mend: failure.hint }),
    docs: pageOf(failure.code),
  })),
  summary: {
    errors: countOf(checked, 'error'),
    warnings: countOf(checked, 'warning'),
    upstreamOnly: countOf(checked, 'upstream-only'),
    objects: checked.objects.length,
    files: checked.files,
  },
  unrendered: checked.unrendered,
});

const LEVELS = { error: 'error', warning: 'warning', 'upstream-only': 'note' } as const;

/** Static Analysis Results Interchange Format 2.1.0 (OASIS), as code hosts read it. */
function sarif(checked: Checked, { version }: ReportOptions): object {
  const { findings } = checked;
  const rules = [...new Set(findings.map(({ failure }) => failure.code))].sort();
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'holdfast check',
            version,
            rules: rules.map((id) => ({
              id,
              name: id,
              shortDescription: { text: codes[id].message },
              help: { text: `See ${pageOf(id)}.` },
            })),
          },
        },
        columnKind: 'utf16CodeUnits',
        invocations: [
          {
            executionSuccessful: true,
            toolExecutionNotifications: unrenderedOf(checked).map((note) => ({
              level: 'note',
              message: { text: note },
            })),
          },
        ],
        results: findings.map((finding) => ({
          ruleId: finding.failure.code,
          ruleIndex: rules.indexOf(finding.failure.code),
          level: LEVELS[finding.class],
          message: { text: messageOf(finding) },
          locations: [
            {
              physicalLocation: {
                artifactLocation: { uri: uriOf(finding.file) },
                region: {
                  startLine: finding.line,
                  ...(finding.column === undefined ? {} : { startColumn: finding.column }),
                },
              },
            },
          ],
          properties: { class: finding.class },
        })),
      },
    ],
  };
}

const messageOf = ({ object, failure }: Finding): string =>
  `${object === undefined ? '' : `${object}: `}${failure.message}${failure.hint === undefined ? '' : `. ${failure.hint}`}`;

/** A relative reference: no drive, no backslash, and each segment escaped (RFC 3986). */
const uriOf = (file: string): string =>
  file
    .split(/[/\\]/)
    .map((segment) => encodeURIComponent(segment))
    .join('/');

/** A test suite for each file, a case for each object: it fails where the object has an error, and tells the rest. */
function junit(checked: Checked): string {
  const { findings, objects } = checked;
  const files = [...new Set([...objects, ...findings].map(({ file }) => file))].sort();
  const suites = files.map((file) => {
    const ofFile = findings.filter((finding) => finding.file === file);
    const known = objects.filter((object) => object.file === file).map(({ title }) => title);
    const titles = [...new Set([...known, ...ofFile.map(({ object }) => object ?? 'the file')])];
    const cases = titles.map((title) => {
      const own = ofFile.filter(({ object }) => (object ?? 'the file') === title);
      return caseOf(file, title, own);
    });
    const failures = cases.filter(({ failed }) => failed).length;
    const attributes = `name="${xml(file)}" tests="${cases.length}" failures="${failures}" errors="0" skipped="0"`;
    return {
      tests: cases.length,
      failures,
      text: `  <testsuite ${attributes}>\n${cases.map((one) => one.text).join('')}  </testsuite>\n`,
    };
  });
  const total = (of: 'tests' | 'failures'): number => suites.reduce((sum, suite) => sum + suite[of], 0);
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="holdfast check" tests="${total('tests')}" failures="${total('failures')}" errors="0">\n${[...suites.map((suite) => suite.text), ...unrenderedOf(checked).map((note) => `  <!-- ${xml(note).replaceAll('--', '- -')} -->\n`)].join('')}</testsuites>\n`;
}

function caseOf(
  file: string,
  title: string,
  findings: readonly Finding[],
): { failed: boolean; text: string } {
  const told = (finding: Finding): string =>
    `${file}:${finding.line}: ${finding.class}: ${messageOf(finding)} [${finding.failure.code}]`;
  const errors = findings.filter((finding) => finding.class === 'error');
  const rest = findings.filter((finding) => finding.class !== 'error');
  const open = `    <testcase classname="${xml(file)}" name="${xml(title)}"`;
  if (findings.length === 0) return { failed: false, text: `${open}/>\n` };
  const [first] = errors;
  const failure =
    first === undefined
      ? ''
      : `      <failure type="${first.failure.code}" message="${xml(first.failure.message)}">${xml(errors.map(told).join('\n'))}</failure>\n`;
  const out = rest.length === 0 ? '' : `      <system-out>${xml(rest.map(told).join('\n'))}</system-out>\n`;
  return { failed: errors.length > 0, text: `${open}>\n${failure}${out}    </testcase>\n` };
}

/** As XML 1.0 takes it: characters that it has no place for are left out. */
const xml = (value: string): string =>
  value
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what XML refuses
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll('\n', '&#10;');

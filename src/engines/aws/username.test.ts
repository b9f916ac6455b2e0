import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isFailure } from '../../base/errors.ts';
import { nameMaker } from './username.ts';

const facts = (displayName: string, roleName: string) => ({ displayName, roleName, now: 1_700_000_000_000 });

test('whoever asks, under whatever role, gets a name that AWS takes', () => {
  const make = nameMaker('');
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.string({ maxLength: 300 }), (who, role) => {
      expect(make('IAM', facts(who, role))).toMatch(/^vault-[\w+=,.@-]{1,58}$/);
      expect(make('STS', facts(who, role))).toMatch(/^vault-1700000000-\w{15}$/);
    }),
  );
});

test('a template is usable or refused, whatever it holds', () => {
  const pieces = [
    '{{',
    '}}',
    'if',
    'else',
    'end',
    '(eq .Type "STS")',
    '.PolicyName',
    'random 8',
    '|',
    ' ',
    '-',
    'x',
  ];
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 8 })), { maxLength: 14 }),
      (parts) => {
        try {
          expect(nameMaker(parts.join(''))('IAM', facts('a', 'b'))).toMatch(/^[\w+=,.@-]{1,64}$/);
        } catch (error) {
          if (!isFailure(error)) throw error;
          expect(['aws.template', 'aws.username']).toContain(error.code);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test.each([
  ['{{if eq .Type "STS"}}s{{random 5}}{{else}}i{{random 6}}{{end}}', /^i\w{6}$/, /^s\w{5}$/],
  ['a-{{ if (ne .Type "STS") }}{{ .PolicyName }}-{{ end }}{{ random 4 }}', /^a-b-\w{4}$/, /^a-\w{4}$/],
  ['{{- if eq .Type "IAM" -}}{{uuid}}{{- else -}}{{random 9}}{{- end -}}', /^[\da-f-]{36}$/, /^\w{9}$/],
])('the template %j tells users from sessions', (template, iam, sts) => {
  const make = nameMaker(template);
  expect(make('IAM', facts('a', 'b'))).toMatch(iam);
  expect(make('STS', facts('a', 'b'))).toMatch(sts);
});

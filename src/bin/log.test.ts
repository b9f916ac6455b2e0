import { expect, test } from 'vitest';
import { failure } from '../base/errors.ts';
import { pinoLog } from './log.ts';

const CANARY = 'canary-90c1f2';

function logged(error: unknown): string {
  let text = '';
  pinoLog({
    write(line: string) {
      text += line;
    },
  }).error('it failed', { error });
  return text;
}

test('an error that others made is told by name, code and place, and never by its words', () => {
  const broken = (): unknown => {
    try {
      return JSON.parse(`"${CANARY}`);
    } catch (error) {
      return error;
    }
  };
  const text = logged(broken());
  expect(JSON.parse(text).error).toMatchObject({ name: 'SyntaxError' });
  expect(text).toContain('log.test.ts');
  const lines = new Error(`one\n    at ${CANARY} (two)`);
  for (const error of [broken(), lines, Object.assign(new Error(CANARY), { code: 'EACCES' }), CANARY])
    expect(logged(error)).not.toContain(CANARY);
  expect(JSON.parse(logged(Object.assign(new Error('x'), { code: 'EACCES' }))).error.code).toBe('EACCES');
});

test('a message that was changed after the stack was taken costs the stack, not the secret', () => {
  const error = new Error(CANARY);
  error.message = 'harmless';
  expect(logged(error)).not.toContain(CANARY);
});

test('a failure of our own is told in its words', () => {
  expect(JSON.parse(logged(failure('request.denied'))).error).toEqual({
    name: 'Failure',
    code: 'request.denied',
    message: 'permission denied',
  });
});

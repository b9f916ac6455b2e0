import { expect, test } from 'vitest';
import { isFailure } from '../base/errors.ts';
import { createRendering } from './rendering.ts';

const object = (uid: string) => ({ apiVersion: 'x', kind: 'ExternalSecret', metadata: { name: 'a', uid } });
const render = (text: string, value = 'v', uid = 'u', seed = 1): string =>
  Buffer.from(
    createRendering({ seed: new Uint8Array(32).fill(seed) })(object(uid), new Date(0)).render(
      text,
      'data[X]',
      new Map([['pass', Buffer.from(value)]]),
    ),
  ).toString();

test('what a template draws is the same each time, and another for other data, objects and seeds', () => {
  const text = '{{ htpasswd "admin" .pass }}';
  const first = render(text);
  expect(first).toMatch(/^admin:\$2[aby]\$/);
  expect(render(text)).toBe(first);
  const others = [render(text, 'w'), render(text, 'v', 'other'), render(text, 'v', 'u', 2)];
  expect(new Set([first, ...others]).size).toBe(4);
});

test('a template that never ends is stopped and told', () => {
  try {
    render('{{ range $i := until 100000000 }}{{ end }}');
    expect.unreachable();
  } catch (error) {
    expect(isFailure(error)).toBe(true);
    expect(String(error)).toContain('data[X]');
  }
});

test('a key is rewritten by its template', () => {
  const env = createRendering({ seed: new Uint8Array(32) })(object('u'), new Date(0));
  expect(env.renderKey('{{ .value | upper }}_X', 'ab')).toBe('AB_X');
});

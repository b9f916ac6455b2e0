/** The smallest thing that behaves like a template: `{{ .name }}` and nothing else. For tests of what surrounds templates. */

import { textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import type { Env } from '../controllers/externalsecret/observed.ts';

export const plainEnv: Env = {
  render: (text, name, data) =>
    utf8(
      text.replace(/\{\{ \.(\w+) \}\}/g, (_, key: string) => {
        const bytes = data.get(key);
        if (bytes === undefined) {
          throw failure('operator.spec_invalid', { reason: `template ${name}: no key "${key}"` });
        }
        return textOf(bytes) ?? '';
      }),
    ),
  renderKey: (text, key) => text.replaceAll('{{ .value }}', key),
};

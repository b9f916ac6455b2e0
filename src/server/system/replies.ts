/** Answers that come without the envelope: clients of these paths read bare JSON. */

import { utf8 } from '../../base/bytes.ts';
import { stringify } from '../../base/json.ts';
import type { Reply } from '../../plugin/plugin.ts';

export const bare = (value: unknown, status = 200): Reply<never> => ({
  raw: { status, headers: { 'content-type': 'application/json' }, body: utf8(stringify(value)) },
});

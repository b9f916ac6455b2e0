/** Webhook: values of anything that answers over HTTP with a JSON object; asked as stores of that kind ask. */

import { textOf } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import type { Fields, GeneratorType } from '../../provider/generator.ts';
import { parseObjectValue } from '../../provider/property.ts';
import type { Value } from '../../provider/provider.ts';
import { type WebhookSpec, webhookSpec } from '../../providers/webhook/spec.ts';
import { createWebhookProvider } from '../../providers/webhook/webhook.ts';

export const createWebhookGenerator = (clock: Pick<Clock, 'now'>): GeneratorType<WebhookSpec> => ({
  kind: 'Webhook',
  spec: webhookSpec as unknown as GeneratorType<WebhookSpec>['spec'],
  async generate(spec, env, _reserve, signal) {
    const endpoint = await createWebhookProvider(clock).connect(spec, env);
    try {
      // It is asked for nothing by name.
      const read = await endpoint.get({ key: '' }, signal === undefined ? {} : { signal });
      if (read === undefined)
        throw failure('provider.read', {
          store: env.store,
          path: 'values',
          reason: 'endpoint gave error 404 Not Found',
        });
      return fieldsOf(read.value, env.store);
    } finally {
      await endpoint.close();
    }
  },
});

/** An object, or a text that is one. @throws Failure provider.read */
function fieldsOf(value: Value, store: string): Fields {
  if ('fields' in value) return value.fields;
  const object = parseObjectValue(textOf(value.bytes) ?? '');
  if (object !== undefined && 'fields' in object) return object.fields;
  throw failure('provider.read', {
    store,
    path: 'values',
    reason: 'the answer is not a JSON object: name the object in it by result.jsonPath',
  });
}

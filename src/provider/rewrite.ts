/** Rewriting the names (and, by merge, the values) of what `dataFrom` found. Steps run in order, each on the last's outcome. */

import { RE2JS } from 're2js';
import { compareBytes, textOf, utf8 } from '../base/bytes.ts';
import { failure } from '../base/errors.ts';
import { Ordered, type OrderedJson, parseOrdered, stringify } from '../base/json.ts';
import { nearest } from '../base/nearest.ts';
import { bytesOf } from './property.ts';

export interface MergeStep {
  readonly into?: string | undefined;
  readonly priority?: readonly string[] | undefined;
  readonly priorityPolicy?: 'Strict' | 'IgnoreNotFound' | undefined;
  readonly conflictPolicy?: 'Error' | 'Ignore' | undefined;
  readonly strategy?: 'Extract' | 'JSON' | undefined;
}

export type RewriteStep =
  | { readonly regexp: { readonly source: string; readonly target: string } }
  | { readonly transform: { readonly template: string } }
  | { readonly merge: MergeStep };

type Values = ReadonlyMap<string, Uint8Array>;

/**
 * @param render renders a Go template over `{ value: <name> }`
 * @throws Failure provider.rewrite, provider.merge, and whatever `render` throws
 */
export function rewrite(
  values: Values,
  steps: readonly RewriteStep[],
  render: (template: string, data: { readonly value: string }) => string,
): Map<string, Uint8Array> {
  let current = new Map(values);
  for (const step of steps) {
    if ('regexp' in step) {
      const replace = replacer(step.regexp.source, step.regexp.target);
      current = renamed(current, replace);
    } else if ('transform' in step) {
      current = renamed(current, (name) => render(step.transform.template, { value: name }));
    } else {
      current = merge(current, step.merge);
    }
  }
  return current;
}

/** Names in byte order, so that where two become one the same one wins each time (upstream leaves it to chance). */
function renamed(values: Values, rename: (name: string) => string): Map<string, Uint8Array> {
  const sorted = [...values].sort(([a], [b]) => compareBytes(a, b));
  return new Map(sorted.map(([name, bytes]) => [rename(name), bytes]));
}

/** Go's ReplaceAllString: RE2, `$1`, `${name}`, `$$`; time linear in the name whatever the pattern. */
function replacer(source: string, target: string): (text: string) => string {
  let pattern: RE2JS;
  try {
    pattern = RE2JS.compile(source);
  } catch {
    throw failure('provider.rewrite', { pattern: source.slice(0, 200) });
  }
  const names = pattern.namedGroups();
  return (text) => {
    const matcher = pattern.matcher(text);
    let out = '';
    let end = 0;
    let before = -1;
    while (matcher.find()) {
      const [start, stop] = [matcher.start(), matcher.end()];
      // An empty match that touches the one before it does not count.
      if (start === stop && start === before) continue;
      const group = (name: string): string => {
        const number = /^\d+$/.test(name) ? Number(name) : Number(names[name] ?? -1);
        return number >= 0 && number <= pattern.groupCount() ? (matcher.group(number) ?? '') : '';
      };
      out += text.slice(end, start) + expand(target, group);
      end = stop;
      before = stop;
    }
    return out + text.slice(end);
  };
}

function expand(target: string, group: (name: string) => string): string {
  return target.replace(/\$(?:\$|\{(\w+)\}|(\w+))/g, (whole, braced?: string, plain?: string) =>
    whole === '$$' ? '$' : group(braced ?? plain ?? ''),
  );
}

function merge(values: Values, step: MergeStep): Map<string, Uint8Array> {
  const priority = step.priority ?? [];
  if (step.strategy === 'JSON' && (step.into === undefined || step.into === ''))
    throw failure('provider.merge', { reason: 'the strategy JSON needs `into`' });
  const missing = priority.find((name) => !values.has(name));
  if (missing !== undefined && step.priorityPolicy !== 'IgnoreNotFound') {
    const reason = `the key ${JSON.stringify(missing)} of \`priority\` was not found${nearest(missing, values.keys())}`;
    throw failure('provider.merge', { reason });
  }
  const rest = [...values.keys()].filter((name) => !priority.includes(name)).sort(compareBytes);
  const merged = new Map<string, OrderedJson>();
  const origin = new Map<string, string>();
  for (const name of [...rest, ...priority.filter((p) => values.has(p))]) {
    const object = objectIn(values.get(name) ?? new Uint8Array(0));
    if (object === undefined)
      throw failure('provider.merge', {
        reason: `the value of ${JSON.stringify(name)} is not a JSON object`,
      });
    for (const [key, value] of object.members) {
      const other = origin.get(key);
      // A name of `priority` is there to win; two that nobody ranked are a conflict.
      if (other !== undefined && !priority.includes(name) && step.conflictPolicy !== 'Ignore')
        throw failure('provider.merge', {
          reason: `the key ${JSON.stringify(key)} is in both ${JSON.stringify(other)} and ${JSON.stringify(name)}`,
        });
      merged.set(key, value);
      origin.set(key, name);
    }
  }
  if (step.strategy === 'JSON')
    return new Map(values).set(step.into ?? '', utf8(stringify(new Ordered(merged))));
  return new Map([...merged].map(([key, value]) => [key, bytesOf(value)]));
}

function objectIn(bytes: Uint8Array): Ordered | undefined {
  const text = textOf(bytes);
  if (text === undefined) return undefined;
  try {
    const read = parseOrdered(text);
    return read instanceof Ordered ? read : undefined;
  } catch {
    return undefined;
  }
}

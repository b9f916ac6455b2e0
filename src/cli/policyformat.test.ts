import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseHcl } from '../base/hcl.ts';
import { formatHcl } from './policyformat.ts';

describe('a policy is laid out', () => {
  test('with every comment kept, tables aligned, and blank lines between what is longer than one line', () => {
    const text = `# top


# second
path "secret/*" {
capabilities=["read",
"list"]
  # inner
    min_wrapping_ttl = "1s"
  required_parameters=["a"] # trailing
}
path "b" { allowed_parameters = { "foo" = ["x","y"]
    "*"=[] }
  capabilities = [ "create" , "update", # why
   # lone
   "list", ]
  max_wrapping_ttl = 90


  denied_parameters={}
}
/* block
   comment */
path "d" {}
path "e" { capabilities = ["read"]
// tail
}
# end
`;
    expect(formatHcl(text)).toBe(`# top

# second
path "secret/*" {
  capabilities = [
    "read",
    "list",
  ]

  # inner
  min_wrapping_ttl    = "1s"
  required_parameters = ["a"] # trailing
}

path "b" {
  allowed_parameters = {
    "foo" = ["x", "y"]
    "*"   = []
  }

  capabilities = [
    "create",
    "update", # why

    # lone
    "list",
  ]

  max_wrapping_ttl = 90

  denied_parameters = {}
}

/* block
   comment */
path "d" {}

path "e" {
  capabilities = ["read"]

  // tail
}

# end
`);
  });

  test('in JSON as JSON is', () => {
    expect(formatHcl('{"path":{"a":{"capabilities":["read"]}}}')).toBe(
      '{\n  "path": {\n    "a": {\n      "capabilities": [\n        "read"\n      ]\n    }\n  }\n}\n',
    );
  });

  test('and an empty one stays empty', () => expect(formatHcl('\n\n')).toBe(''));

  test('with a text over several lines as it stands', () => {
    const text = 'path "x" {\n  policy = <<EOT\n  read # no comment\nEOT\n\n  a = 1\n}\n';
    expect(formatHcl(text)).toBe(text);
  });

  test('but not where a comment would have to move', () => {
    expect(() => formatHcl('path /* here */ "x" {}')).toThrow(/inside the item at line 1/);
    expect(() => formatHcl('path "x" {\n  a = # here\n  1\n}')).toThrow(/inside the item at line 2/);
  });

  test('and not where it is none', () =>
    expect(() => formatHcl('path "x" {')).toThrow(/ends inside a block/));
});

describe('whatever the layout of a policy was', () => {
  const gap = fc.constantFrom(
    ' ',
    '\n',
    '\n\n\n',
    '  ',
    '\t',
    '\n# note\n',
    '\n// "}" note\n\n',
    '\n/* a { */\n',
  );
  const blank = fc.constantFrom(' ', '  ', '\t');
  const word = fc.constantFrom('"a"', '"b#c"', '"d//e"', '"f\\"g"', '1', 'true', '"{"');
  const list = fc
    .tuple(fc.array(fc.tuple(gap, word), { maxLength: 4 }), gap)
    .map(([items, end]) => `[${items.map(([before, text]) => before + text).join(',')}${end}]`);
  const { object } = fc.letrec<{ object: string; item: string }>((tie) => ({
    item: fc
      .tuple(fc.constantFrom('a', '"b c"', 'd_e'), blank, fc.oneof(word, list, tie('object')), gap)
      .map(([key, before, value, after]) => `${key}${before}=${before}${value}${after}\n`),
    object: fc
      .tuple(gap, fc.array(tie('item'), { maxLength: 3 }))
      .map(([before, items]) => `{${before}${items.join('')}}`),
  }));
  const policy = fc
    .array(
      fc.tuple(gap, object).map(([before, block]) => `${before}\npath "x" ${block}\n`),
      { maxLength: 4 },
    )
    .map((blocks) => blocks.join(''));
  const meaning = (text: string): string =>
    JSON.stringify(parseHcl(text), (key, value) => (key === 'line' || key === 'column' ? undefined : value));

  test('its meaning and its comments stay, and a second time changes nothing', () => {
    fc.assert(
      fc.property(policy, (text) => {
        const once = formatHcl(text);
        expect(meaning(once)).toBe(meaning(text));
        expect(once.match(/note|\/\* a/g)?.length).toBe(text.match(/note|\/\* a/g)?.length);
        expect(formatHcl(once)).toBe(once);
      }),
      { numRuns: 500 },
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFailure } from '../../base/errors.ts';
import { parsePolicy } from './policy.ts';

const refusal = (text: string): string => {
  try {
    parsePolicy('p', text);
  } catch (error) {
    if (isFailure(error, 'policy.malformed')) {
      expect(error.kind).toBe('invalid');
      expect(error.message).toMatch(/\. To mend it: .+\.$/);
      return error.message.replace('failed to parse policy: ', '').replace(/\. To mend it: .+$/, '');
    }
    throw error;
  }
  return 'accepted';
};

describe('parsePolicy reads', () => {
  it('HCL and JSON into the same stanzas', () => {
    const hcl = parsePolicy(
      'p',
      `# a comment
name = "p"
path "/secret/data/*" { // another
  capabilities = ["read", "list",]
  allowed_parameters = { "Key" = ["a", 5] }
  min_wrapping_ttl = "1m" /* and
  another */ max_wrapping_ttl = 90
}`,
    );
    const json = parsePolicy(
      'p',
      '{"path":{"secret/data/*":{"capabilities":["read","list"],"allowed_parameters":{"key":["a",5]},"min_wrapping_ttl":60,"max_wrapping_ttl":"90s"}}}',
    );
    expect(hcl.stanzas[0]).toMatchObject({
      path: 'secret/data/*',
      capabilities: ['read', 'list'],
      minWrapTtlMs: 60_000,
      maxWrapTtlMs: 90_000,
      line: 3,
    });
    expect({ ...hcl.stanzas[0], line: 1 }).toEqual({ ...json.stanzas[0], line: 1 });
    expect([...(hcl.stanzas[0]?.allowed ?? [])]).toEqual([['key', ['a', 5]]]);
  });
  it('a JSON list of paths, and a path written as an attribute', () => {
    expect(
      parsePolicy('p', '{"path":[{"a":{"capabilities":["read"]}},{"b":{"policy":"write"}}]}').stanzas.map(
        (s) => s.path,
      ),
    ).toEqual(['a', 'b']);
    expect(parsePolicy('p', 'path = { "a" = { capabilities = ["read"] } }').stanzas[0]?.capabilities).toEqual(
      ['read'],
    );
  });
  it('the words of the oldest policies', () => {
    const caps = (word: string) =>
      parsePolicy('p', `path "a" { policy = "${word}" }`).stanzas[0]?.capabilities;
    expect(caps('read')).toEqual(['read', 'list']);
    expect(caps('write')).toEqual(['read', 'list', 'create', 'update', 'delete']);
    expect(caps('sudo')).toContain('sudo');
    expect(caps('deny')).toEqual(['deny']);
  });
  it('a star before the end, with a warning', () => {
    expect(parsePolicy('p', 'path "a/*/b" { capabilities = ["read"] }').warnings[0]).toMatch(
      /line 1.*stands for itself/,
    );
  });
});

describe('parsePolicy refuses, and says', () => {
  it.each([
    [
      'a capability that does not exist',
      'path "x" { capabilities = ["red"] }',
      'path "x": invalid capability "red"',
    ],
    [
      'a capability in the wrong case',
      'path "x" { capabilities = ["READ"] }',
      'path "x": invalid capability "READ"',
    ],
    [
      '"+*"',
      'path "x/+*" { capabilities = ["read"] }',
      `path "x/+*": invalid use of wildcards ('+*' is forbidden)`,
    ],
    [
      'an unknown key',
      'path "x" {\n  capabilites = ["read"]\n}',
      'path "x": invalid key "capabilites" on line 2',
    ],
    ['an unknown key at the top', '\n\npaths "x" {}', 'invalid key "paths" on line 3'],
    [
      'wrapping times that exclude each other',
      'path "x" { min_wrapping_ttl = 10 max_wrapping_ttl = 5 }',
      'path "x": max_wrapping_ttl cannot be less than min_wrapping_ttl',
    ],
    [
      'a key given twice',
      'path "x" { capabilities = ["deny"]\n capabilities = ["read"] }',
      'path "x": the key "capabilities" is given again on line 2',
    ],
    [
      'a dot segment',
      'path "a/../b" { policy = "read" }',
      'path "a/../b": it can never match: the path is not canonical: it has a ".." segment',
    ],
    [
      'an empty segment',
      'path "a//b" { policy = "read" }',
      'path "a//b": it can never match: the path is not canonical: it has an empty segment',
    ],
    ['an empty path', 'path "" { policy = "read" }', 'path "": it can never match: the path is empty'],
    [
      'a restriction not enforced here',
      'path "x" { mfa_methods = ["m"] }',
      'path "x": the key "mfa_methods" on line 1 is a restriction that this server does not enforce',
    ],
    [
      'a pattern for an accessor',
      'path "{{identity.entity.aliases.auth_kubernetes_*.name}}" { policy = "read" }',
      'path "{{identity.entity.aliases.auth_kubernetes_*.name}}": the template {{identity.entity.aliases.auth_kubernetes_*.name}} names the accessor "auth_kubernetes_*", which is a pattern',
    ],
    [
      'a template of nothing',
      'path "a/{{user.name}}" { policy = "read" }',
      'path "a/{{user.name}}": the template {{user.name}} names nothing',
    ],
    ['an unclosed block', 'path "x" {', 'line 1, column 11: the text ends inside a block'],
    ['an unclosed string', 'path "x {\n}', 'line 1, column 6: a string is not closed'],
    [
      'a missing comma',
      'path "x" { capabilities = ["read" "list"] }',
      'line 1, column 35: a comma is missing in a list',
    ],
    ['a bare word', 'path "x" { capabilities = [read] }', 'line 1, column 28: a value is a bare word'],
    [
      'JSON cut short',
      '{"path":{"a":{"capabilities":["read"]}}',
      'line 1, column 40: the text ends inside a block',
    ],
    ['a stanza that is no block', 'path "x" = 5', 'line 1, column 12: "path" is not a block'],
    ['no legacy word', 'path "x" { policy = "admin" }', 'path "x": invalid policy "admin"'],
  ])('%s', (_, text, message) => {
    expect(refusal(text)).toBe(message);
  });

  it('what is too long, too deep or too many', () => {
    expect(refusal('#'.repeat(1024 * 1024 + 1))).toMatch(/longer than 1048576 bytes/);
    expect(refusal(`path "x" { allowed_parameters = ${'['.repeat(100_000)}`)).toMatch(
      /nested deeper than 32/,
    );
    expect(refusal(`path "x" { capabilities = [${'1,'.repeat(150_000)}] }`)).toMatch(
      /more than 100000 parts/,
    );
  });

  it('anything else only with its own failure, whatever the bytes', () => {
    const piece = fc.constantFrom(
      'path ',
      '"a"',
      '{',
      '}',
      '[',
      ']',
      '=',
      ',',
      ':',
      '\n',
      '#',
      '/*',
      '*/',
      '//',
      '<<E\n',
      'E\n',
      '\\',
      '"',
      'capabilities',
      '["read"]',
      '5',
      'true',
      '{{',
      '}}',
      '\u0000',
      '\ud800',
      '${',
      'policy',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(piece, { maxLength: 20 }).map((p) => p.join('')),
          fc.string({ unit: 'binary' }),
        ),
        (text) => {
          try {
            parsePolicy('p', text);
          } catch (error) {
            expect(isFailure(error, 'policy.malformed')).toBe(true);
          }
        },
      ),
      { numRuns: 5000 },
    );
  });
});

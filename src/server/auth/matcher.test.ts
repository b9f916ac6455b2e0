import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Failure } from '../../base/errors.ts';
import { parsePath, parseUrlPath } from '../../base/path.ts';
import type { AclRequest, Capability } from './acl.ts';
import { defaultPolicy, responseWrappingPolicy } from './builtin.ts';
import { compileAcl } from './matcher.ts';
import { parsePolicy } from './policy.ts';

const acl = (...texts: string[]) => compileAcl(texts.map((text, i) => parsePolicy(`p${i}`, text)));
const rule = (path: string, ...capabilities: string[]) =>
  `path ${JSON.stringify(path)} { capabilities = ${JSON.stringify(capabilities)} }\n`;
const ask = (
  path: string,
  capability: AclRequest['capability'],
  more: Partial<AclRequest> = {},
): AclRequest => ({
  path: parsePath(path),
  capability,
  sudo: false,
  ...more,
});

describe('which rule decides', () => {
  const winner = (path: string, ...paths: string[]): string | undefined => {
    const decision = acl(paths.map((p) => rule(p, 'read')).join('')).decide(ask(path, 'read'));
    return decision.rule === 'root' ? 'root' : decision.rule?.path;
  };

  it.each([
    ['an exact path before every pattern', 'a/b/c', ['a/b/c', 'a/b/c*', 'a/+/c', '*'], 'a/b/c'],
    ['the longest prefix', 'a/b/c', ['a/*', 'a/b/*', '*'], 'a/b/*'],
    ['a prefix that ends inside a segment', 'a/bcd', ['a/b*', 'a/*'], 'a/b*'],
    ['a later first wildcard', 'a/b/c', ['a/+/c', 'a/b/*'], 'a/b/*'],
    ['a rule without "*" where the first wildcard is the same', 'a/b', ['a/+', 'a/*'], 'a/+'],
    ['fewer "+"', 'a/b/c/d', ['a/+/+/*', 'a/+/c/*'], 'a/+/c/*'],
    ['the longer one', 'a/b/cd', ['a/+/*', 'a/+/c*'], 'a/+/c*'],
    ['the lexicographically greater', 'a/b/c/d', ['a/+/c/+', 'a/+/+/d'], 'a/+/c/+'],
    ['"+" is exactly one segment', 'a/b/c', ['a/+'], undefined],
    ['"+" inside a segment is a plus', 'a/bc', ['a/b+'], undefined],
    ['"*" before the end is a star', 'a/b/c', ['a/*/c'], undefined],
    ['a prefix with "+" wants all its segments', 'a/b', ['a/+/*'], undefined],
    ['a prefix with "+" takes all below it', 'a/b/cd/e/f', ['a/+/c*'], 'a/+/c*'],
    ['case matters', 'A/b', ['a/b', 'a/*'], undefined],
  ])('%s', (_, path, rules, expected) => {
    expect(winner(path, ...rules)).toBe(expected);
    expect(winner(path, ...[...rules].reverse())).toBe(expected);
  });

  it('only the winner counts: a wider rule adds nothing to it', () => {
    const a = acl(rule('secret/*', 'read', 'list') + rule('secret/app/*', 'update'));
    expect(a.decide(ask('secret/app/x', 'read'))).toMatchObject({
      allowed: false,
      rule: { path: 'secret/app/*', policies: ['p0'], line: 2, capabilities: ['update'] },
    });
  });

  it('a listing matches rules with and without the trailing slash', () => {
    for (const path of [
      'secret/app',
      'secret/app/',
      'secret/+',
      'secret/app*',
      'secret/+/',
      'secret/app/*',
    ]) {
      const a = acl(rule(path, 'list'));
      expect(a.decide(ask('secret/app/', 'list')).allowed, path).toBe(true);
      expect(a.decide(ask('secret/app', 'list')).allowed, path).toBe(true);
    }
  });

  it('a denial of the leaf also denies its listing, and a wider grant does not help', () => {
    const a = acl(rule('secret/app', 'deny') + rule('secret/*', 'list'));
    expect(a.decide(ask('secret/app/', 'list')).allowed).toBe(false);
  });
});

describe('the same path in several policies', () => {
  it('unites capabilities and names every policy', () => {
    const a = acl(rule('a', 'read'), rule('a', 'update'));
    expect(a.capabilities(parsePath('a'))).toEqual(['read', 'update']);
    expect(a.decide(ask('a', 'update'))).toMatchObject({ allowed: true, rule: { policies: ['p0', 'p1'] } });
  });

  it('lets deny win in either order, parameters and all', () => {
    const open = 'path "a" { capabilities = ["update"] allowed_parameters = { "x" = [] } }';
    for (const texts of [
      [open, rule('a', 'deny')],
      [rule('a', 'deny', 'update'), open],
    ])
      expect(acl(...texts).decide(ask('a', 'update', { parameters: { x: 1 } })).allowed).toBe(false);
  });

  it('joins allowed values, and an empty list takes any', () => {
    const one = (values: string) =>
      `path "a" { capabilities = ["update"] allowed_parameters = { "x" = ${values} } }`;
    const joined = acl(one('["1"]'), one('["2"]'));
    expect(joined.decide(ask('a', 'update', { parameters: { x: '2' } })).allowed).toBe(true);
    expect(joined.decide(ask('a', 'update', { parameters: { x: '3' } })).allowed).toBe(false);
    expect(acl(one('["1"]'), one('[]')).decide(ask('a', 'update', { parameters: { x: '3' } })).allowed).toBe(
      true,
    );
  });
});

describe('parameters', () => {
  const judged = (body: string, parameters: AclRequest['parameters']) =>
    acl(`path "a" { capabilities = ["update", "delete"]\n ${body} }`).decide(
      ask('a', 'update', parameters === undefined ? {} : { parameters }),
    ).allowed;

  it('compares keys without case, in the rule and in the data', () => {
    expect(judged('denied_parameters = { "Admin" = [] }', { ADMIN: true })).toBe(false);
    expect(judged('required_parameters = ["Ttl"]', { tTL: 1 })).toBe(true);
    expect(judged('required_parameters = ["ttl"]', {})).toBe(false);
  });
  it('denies a value by glob, and any other passes', () => {
    expect(judged('denied_parameters = { "p" = ["admin*"] }', { p: 'administrator' })).toBe(false);
    expect(judged('denied_parameters = { "p" = ["admin*"] }', { p: 'reader' })).toBe(true);
  });
  it('allows only what is named once something is, and "*" takes the rest', () => {
    expect(judged('allowed_parameters = { "p" = ["a", "b*"] }', { p: 'bc' })).toBe(true);
    expect(judged('allowed_parameters = { "p" = [] }', { q: 1 })).toBe(false);
    expect(judged('allowed_parameters = { "p" = ["a"] "*" = [] }', { q: 1, p: 'a' })).toBe(true);
    expect(judged('allowed_parameters = { "p" = ["a"] "*" = [] }', { q: 1, p: 'z' })).toBe(false);
  });
  it('lets an empty body pass allowed and denied', () => {
    expect(judged('denied_parameters = { "*" = [] }', {})).toBe(true);
    expect(judged('allowed_parameters = { "p" = ["a"] }', undefined)).toBe(true);
    expect(judged('denied_parameters = { "*" = [] }', { x: 1 })).toBe(false);
  });
  it('compares numbers, booleans and lists by what they are', () => {
    expect(judged('allowed_parameters = { "n" = [5, true, ["a", 1]] }', { n: 5 })).toBe(true);
    expect(judged('allowed_parameters = { "n" = [5] }', { n: '5' })).toBe(false);
    expect(judged('allowed_parameters = { "n" = [["a", 1]] }', { n: ['a', 1] })).toBe(true);
    expect(judged('allowed_parameters = { "n" = [["a", 1]] }', { n: ['a', 2] })).toBe(false);
  });
});

describe('what a rule asks for in addition', () => {
  it('a root-protected path needs sudo beside the capability', () => {
    const a = acl(rule('sys/raw/*', 'read') + rule('sys/audit', 'read', 'sudo'));
    expect(a.decide(ask('sys/raw/x', 'read', { sudo: true })).allowed).toBe(false);
    expect(a.decide(ask('sys/audit', 'read', { sudo: true })).allowed).toBe(true);
    expect(a.decide(ask('sys/audit', 'update', { sudo: true })).allowed).toBe(false);
  });
  it('a wrapping time refuses the answer that is not wrapped, or too long, or too short', () => {
    const a = acl('path "a" { capabilities = ["read"] min_wrapping_ttl = "10s" max_wrapping_ttl = 60 }');
    const times = [undefined, 0, 9_999, 10_000, 60_000, 60_001];
    expect(
      times.map(
        (wrapTtlMs) => a.decide(ask('a', 'read', wrapTtlMs === undefined ? {} : { wrapTtlMs })).allowed,
      ),
    ).toEqual([false, false, false, true, true, false]);
  });
  it('a subscription may cover some event types alone', () => {
    const a = acl(
      'path "secret/*" { capabilities = ["subscribe"] subscribe_event_types = ["kv-v2/data-*"] }',
    );
    expect(a.decide(ask('secret/x', 'subscribe', { eventType: 'kv-v2/data-write' })).allowed).toBe(true);
    expect(a.decide(ask('secret/x', 'subscribe', { eventType: 'kv-v2/config-write' })).allowed).toBe(false);
    expect(a.decide(ask('secret/x', 'subscribe')).allowed).toBe(false);
  });
});

describe('templates', () => {
  const identity = {
    entity: {
      id: 'e-1',
      name: 'ann',
      metadata: { team: 'ops', evil: 'a/*', dots: '..' },
      aliases: [
        {
          mountAccessor: 'auth_kubernetes_1a2b3c4d',
          id: 'al',
          name: 'x',
          metadata: { ns: 'shop' },
          customMetadata: {},
        },
      ],
    },
  };
  const reads = (template: string, path: string, who: typeof identity | undefined = identity) =>
    compileAcl([parsePolicy('p', rule(template, 'read'))], who).decide(ask(path, 'read')).allowed;

  it('are filled in from the identity', () => {
    expect(reads('kv/{{identity.entity.name}}/*', 'kv/ann/x')).toBe(true);
    expect(reads('kv/{{ identity.entity.metadata.team }}', 'kv/ops')).toBe(true);
    expect(reads('kv/{{identity.entity.aliases.auth_kubernetes_1a2b3c4d.metadata.ns}}', 'kv/shop')).toBe(
      true,
    );
  });
  it('skip the stanza where there is nobody, no such key, or a value that would widen it', () => {
    expect(
      compileAcl([parsePolicy('p', rule('kv/{{identity.entity.id}}', 'read'))]).decide(ask('kv/e-1', 'read'))
        .allowed,
    ).toBe(false);
    expect(reads('kv/{{identity.entity.metadata.none}}', 'kv/x')).toBe(false);
    expect(reads('kv/{{identity.entity.metadata.evil}}', 'kv/a/b')).toBe(false);
    expect(reads('kv/{{identity.entity.metadata.dots}}/x', 'kv/x')).toBe(false);
    expect(reads('kv/{{identity.entity.metadata.constructor}}', 'kv/x')).toBe(false);
  });
});

describe('root, the built-in policies and the preflight', () => {
  it('root may do everything, whatever else it is given', () => {
    const a = compileAcl([parsePolicy('root', ''), parsePolicy('p', rule('*', 'deny'))]);
    expect(a.decide(ask('x', 'delete', { sudo: true }))).toEqual({ allowed: true, rule: 'root' });
    expect(a.capabilities(parsePath('x'))).toEqual(['root']);
  });
  it('the default policy covers what every token needs and nothing of the secrets', () => {
    const a = compileAcl([parsePolicy('default', defaultPolicy)]);
    expect(a.capabilities(parsePath('auth/token/lookup-self'))).toEqual(['read']);
    expect(a.capabilities(parsePath('cubbyhole/x/y'))).toEqual([
      'create',
      'delete',
      'list',
      'read',
      'update',
    ]);
    expect(a.capabilities(parsePath('sys/wrapping/unwrap'))).toEqual(['update']);
    expect(a.capabilities(parsePath('identity/oidc/provider/p/authorize'))).toEqual(['read', 'update']);
    expect(a.capabilities(parsePath('secret/data/x'))).toEqual(['deny']);
    expect(a.reaches('secret/')).toBe(false);
    expect(a.reaches('cubbyhole/')).toBe(true);
    const wrapped = compileAcl([parsePolicy('response-wrapping', responseWrappingPolicy)]);
    expect(wrapped.capabilities(parsePath('cubbyhole/response'))).toEqual(['create', 'read']);
    expect(wrapped.capabilities(parsePath('cubbyhole/other'))).toEqual(['deny']);
  });
  it.each([
    ['a rule far below', ['secret/data/app/x'], [], true],
    ['a rule above', ['*'], [], true],
    ['a rule with "+" for the mount', ['+/data/x'], [], true],
    ['another mount', ['other/*', 'secretly/*'], [], false],
    ['a wider rule under a denial of the mount', ['*'], ['secret/*'], false],
    ['a rule below a denial of the mount', ['secret/data/x'], ['secret/*'], true],
    ['a denial of one level alone', ['secret/*'], ['secret/+'], true],
    ['nothing but denials', [], ['secret/*'], false],
  ])('reaches a mount: %s', (_, grants, denials, expected) => {
    const a = acl([...grants.map((p) => rule(p, 'read')), ...denials.map((p) => rule(p, 'deny'))].join(''));
    expect(a.reaches('secret/')).toBe(expected);
  });
});

/** The rules as one would write them without a thought for speed: every stanza is tried against every path. */
function model(stanzas: readonly { path: string; capabilities: readonly Capability[] }[]) {
  const covers = (pattern: string, path: string): boolean => {
    const star = pattern.endsWith('*');
    const wanted = (star ? pattern.slice(0, -1) : pattern).split('/');
    const source = wanted
      .map((s) => (s === '+' ? '[^/]*' : s.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')))
      .join('/');
    return new RegExp(`^${source}${star ? '[\\s\\S]*' : ''}$`).test(path);
  };
  const rank = (pattern: string) => {
    const star = pattern.endsWith('*');
    const text = star ? pattern.slice(0, -1) : pattern;
    const plus = `/${text}/`.indexOf('/+/');
    const count = text.split('/').filter((s) => s === '+').length;
    return { first: plus === -1 ? text.length : plus, star, count, text };
  };
  const better = (a: string, b: string): boolean => {
    const x = rank(a);
    const y = rank(b);
    if (x.first !== y.first) return x.first > y.first;
    if (x.star !== y.star) return y.star;
    if (x.count !== y.count) return x.count < y.count;
    if (x.text.length !== y.text.length) return x.text.length > y.text.length;
    return x.text > y.text;
  };
  const plain = (pattern: string) => !pattern.endsWith('*') && rank(pattern).count === 0;
  const pick = (path: string, list: boolean): string | undefined => {
    const spellings = list ? [`${path.replace(/\/$/, '')}/`, path.replace(/\/$/, '')] : [path];
    const paths = stanzas.map((s) => s.path);
    for (const spelling of spellings) if (paths.includes(spelling) && plain(spelling)) return spelling;
    for (const spelling of spellings) {
      const best = paths
        .filter((p) => !plain(p) && covers(p, spelling))
        .reduce<string | undefined>((b, p) => (b === undefined || better(p, b) ? p : b), undefined);
      if (best !== undefined) return best;
    }
    return undefined;
  };
  return (path: string, capability: Capability): boolean => {
    const chosen = pick(path, capability === 'list');
    const caps = stanzas.filter((s) => s.path === chosen).flatMap((s) => s.capabilities);
    return !caps.includes('deny') && caps.includes(capability);
  };
}

const segment = fc.constantFrom('a', 'b', 'ab', 'c');
const rulePath = fc
  .tuple(
    fc.array(fc.oneof({ weight: 2, arbitrary: segment }, { weight: 1, arbitrary: fc.constant('+') }), {
      minLength: 1,
      maxLength: 4,
    }),
    fc.constantFrom('', '*', '/', '/*'),
  )
  .map(([segments, end]) => segments.join('/') + end)
  .filter((path) => !path.includes('+*'));
const capabilityOf = fc.constantFrom<Capability>('read', 'list', 'update', 'deny');
const stanzasOf = fc.array(
  fc.record({ path: rulePath, capabilities: fc.uniqueArray(capabilityOf, { minLength: 1, maxLength: 2 }) }),
  { maxLength: 10 },
);
const requestPath = fc
  .tuple(fc.array(segment, { minLength: 1, maxLength: 5 }), fc.boolean())
  .map(([segments, folder]) => segments.join('/') + (folder ? '/' : ''));

describe('for all policies and paths', () => {
  it('the compiled tables decide as the obvious model does', () => {
    let allowed = 0;
    fc.assert(
      fc.property(
        stanzasOf,
        fc.integer({ min: 1, max: 3 }),
        requestPath,
        fc.constantFrom<'read' | 'list' | 'update'>('read', 'list', 'update'),
        (stanzas, split, path, capability) => {
          const texts = Array.from({ length: split }, (_, i) =>
            stanzas
              .filter((_, j) => j % split === i)
              .map((s) => rule(s.path, ...s.capabilities))
              .join(''),
          );
          const decision = acl(...texts).decide(ask(path, capability));
          expect(decision.allowed).toBe(model(stanzas)(path, capability));
          if (decision.allowed) allowed++;
        },
      ),
      { numRuns: 3000 },
    );
    expect(allowed).toBeGreaterThan(100);
  });

  it('the preflight never hides a mount in which something is granted', () => {
    fc.assert(
      fc.property(stanzasOf, requestPath, (stanzas, path) => {
        const a = acl(stanzas.map((s) => rule(s.path, ...s.capabilities)).join(''));
        if (!a.decide(ask(path, 'read')).allowed) return;
        expect(a.reaches(`${path.split('/')[0]}/`) || !path.includes('/')).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('the preflight sees what is granted on a folder whose name without the slash is denied', () => {
    const a = acl(rule('+/', 'read') + rule('a', 'deny'));
    expect(a.decide(ask('a/', 'read')).allowed).toBe(true);
    expect(a.reaches('a/')).toBe(true);
  });

  it('a denied name is denied or refused in every spelling', () => {
    const a = acl(
      rule('secret/*', 'read', 'list', 'update') +
        rule('secret/data/admin', 'deny') +
        rule('secret/data/admin/*', 'deny'),
    );
    const spell = fc.constantFrom(
      '%61',
      '%2e/a',
      './a',
      '../data/a',
      '/a',
      '%2fa',
      '\\a',
      'a\u0000',
      'a\u200b',
      '%2561',
      ' a',
      '%00a',
      'a',
      ';a',
      'a%2e%2e',
    );
    fc.assert(
      fc.property(
        fc.array(spell, { minLength: 1, maxLength: 3 }),
        fc.constantFrom('', '/', '//', '/.', '/x/..', '%20', '?x', '%23'),
        (starts, end) => {
          const raw = `secret/data/${starts.join('')}dmin${end}`;
          let path: ReturnType<typeof parsePath>;
          try {
            path = parseUrlPath(raw);
          } catch (error) {
            expect(error).toBeInstanceOf(Failure);
            return;
          }
          // What was let in names the denied thing only where it is denied: as itself, or as its folder.
          if (/^secret\/data\/admin(\/|$)/.test(path.text)) {
            expect(a.decide({ path, capability: path.folder ? 'list' : 'read', sudo: false }).allowed).toBe(
              false,
            );
          }
          expect(path.text.normalize('NFKC').includes('/./') || path.text.includes('//')).toBe(false);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('a thousand prefixes and a thousand "+" rules answer', () => {
    const many = Array.from(
      { length: 1000 },
      (_, i) => rule(`a/${'b'.repeat(i % 200)}${i}/*`, 'read') + rule(`a/+/${i}`, 'read'),
    ).join('');
    const a = acl(many);
    expect(a.decide(ask('a/x/999', 'read')).allowed).toBe(true);
    expect(a.decide(ask('a/x/1000', 'read')).allowed).toBe(false);
  });
});

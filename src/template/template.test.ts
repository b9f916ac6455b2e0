/** Attacks on templates: what never ends, what eats memory, what would tell a secret, what is no template at all. */

import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { type Failure, isFailure } from '../base/errors.ts';
import {
  type Data,
  DEFAULT_FUEL,
  type Env,
  type Fuel,
  fn,
  functions,
  parseTemplate,
  render,
} from './index.ts';

const NOW = new Date('2026-01-02T03:04:05Z');
const env = (fuel: Partial<Fuel> = {}): Env => ({
  now: NOW,
  random: (count) => Uint8Array.from({ length: count }, (_, i) => (i * 37 + 11) % 256),
  fuel: { ...DEFAULT_FUEL, ...fuel },
});
const text = (template: string, data: Data = {}, fuel: Partial<Fuel> = {}): string =>
  Buffer.from(render(template, data, env(fuel))).toString();

function failureOf(run: () => unknown): Failure {
  try {
    run();
  } catch (error) {
    if (isFailure(error)) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

describe('a template that never ends or eats memory is stopped', () => {
  const attacks: Record<string, string> = {
    'nested loops': '{{range until 10000}}{{range until 10000}}{{range until 10000}}x{{end}}{{end}}{{end}}',
    'a huge integer range': '{{range 9223372036854775807}}{{end}}',
    'a template that calls itself': '{{define "t"}}{{template "t" .}}{{end}}{{template "t" .}}',
    'templates that call each other':
      '{{define "a"}}{{template "b"}}{{end}}{{define "b"}}{{template "a"}}{{end}}{{template "a"}}',
    'a block that calls itself twice':
      '{{define "t"}}{{template "t" .}}{{template "t" .}}{{end}}{{template "t" .}}',
    repeat: '{{repeat 1000000000 "x"}}',
    'repeat of a huge count': '{{repeat 9223372036854775807 "xx"}}',
    'repeated doubling': '{{$x := "x"}}{{range until 64}}{{$x = printf "%s%s" $x $x}}{{end}}',
    'doubling by replace': '{{$x := "x"}}{{range until 64}}{{$x = replace "x" "xx" $x}}{{end}}',
    'doubling by join': '{{$x := "x"}}{{range until 64}}{{$x = list $x $x | join ""}}{{end}}',
    'doubling of a list': '{{$x := list 1}}{{range until 64}}{{$x = concat $x $x}}{{end}}',
    'doubling by quoting': '{{$x := "\\\\"}}{{range until 64}}{{$x = quote $x}}{{end}}',
    'doubling by html': '{{$x := "&"}}{{range until 64}}{{$x = html $x $x}}{{end}}',
    'a huge width': '{{range until 100}}{{printf "%999999d" 1}}{{end}}',
    'a huge width from a star': '{{range until 100}}{{printf "%*d" 999999 1}}{{end}}',
    'a huge precision': '{{range until 100}}{{printf "%.999999f" 1.5}}{{end}}',
    'a huge precision of an integer': '{{range until 100}}{{printf "%.999999d" 1}}{{end}}',
    until: '{{until 1000000000}}',
    untilStep: '{{untilStep 0 9223372036854775807 1}}',
    seq: '{{seq 1000000000}}',
    indent: '{{indent 1000000000 "x"}}',
    nindent: '{{nindent 1000000000 "x\\n\\n\\n"}}',
    'indent of many lines': '{{indent 100000 (repeat 10000 "\\n")}}',
    wrapWith: '{{wrapWith 1 (repeat 10000 "-") (repeat 10000 "x")}}',
    'a random text without end': '{{randAlphaNum 1000000000}}',
    'random bytes without end': '{{randBytes 1000000000}}',
    'bcrypt again and again': '{{range until 1000}}{{bcrypt "x"}}{{end}}',
    'scrypt again and again': '{{range until 1000}}{{derivePassword 1 "long" "a" "b" "c"}}{{end}}',
    'a map that holds itself, printed': '{{$d := dict}}{{$_ := set $d "d" $d}}{{$d}}',
    'a map that holds itself, as JSON': '{{$d := dict}}{{$_ := set $d "d" $d}}{{toJson $d}}',
    'a map that holds itself, as YAML': '{{$d := dict}}{{$_ := set $d "d" $d}}{{toYaml $d}}',
    'a map that holds itself, copied': '{{$d := dict}}{{$_ := set $d "d" $d}}{{deepCopy $d}}',
    'two maps that hold each other, merged':
      '{{$a := dict}}{{$b := dict}}{{$_ := set $a "x" $a}}{{$_ := set $b "x" $b}}{{merge $a $b}}',
    'a map that is twice its own part, thirty times':
      '{{$d := dict}}{{range until 30}}{{$d = dict "a" $d "b" $d}}{{end}}{{toJson $d}}',
    'the same, compared':
      '{{$d := dict "x" 1}}{{$e := dict "x" 1}}{{range until 40}}{{$d = dict "a" $d "b" $d}}{{$e = dict "a" $e "b" $e}}{{end}}{{deepEqual $d $e}}',
    'an expression that finds much again and again':
      '{{range until 10000}}{{regexReplaceAll "(a?){50}b" (repeat 1000 "a") "x"}}{{end}}',
    'hashing a large text again and again':
      '{{$x := repeat 1000000 "x"}}{{range until 10000000}}{{$_ := sha256sum $x}}{{end}}',
    'searching a large text again and again':
      '{{$x := repeat 1000000 "x"}}{{range until 10000}}{{$_ := contains "y" $x}}{{end}}',
    'setting ever more keys': '{{$d := dict}}{{range until 900000}}{{$_ := set $d (toString .) .}}{{end}}',
  };
  for (const [name, template] of Object.entries(attacks)) {
    it(name, () => {
      expect(failureOf(() => text(template)).code).toBe('template.fuel');
    });
  }

  it('says which fuel ran out', () => {
    expect(failureOf(() => text('{{range 100}}x{{end}}', {}, { steps: 10 })).message).toContain(
      'steps (limit 10)',
    );
    expect(failureOf(() => text('hello', {}, { bytes: 4 })).message).toContain('bytes (limit 4)');
    expect(failureOf(() => text('{{bcrypt "x"}}', {}, { cost: 1023 })).message).toContain(
      'cost (limit 1023)',
    );
    expect(text('hello', {}, { bytes: 5 })).toBe('hello');
  });

  it('leaves room for what is sane: a bundle of certificates, a long list, some hashes', () => {
    const bundle = 'MIIB'.repeat(60_000);
    expect(text('{{.ca | b64enc | b64dec | nindent 4}}', { ca: bundle })).toContain(bundle);
    expect(text('{{range until 5000}}{{.}},{{end}}').length).toBeGreaterThan(20_000);
    expect(text('{{range until 3}}{{htpasswd "u" "p"}}\n{{end}}').split('\n').length).toBe(4);
    expect(text('{{$l := list}}{{range until 500}}{{$l = append $l .}}{{end}}{{len $l}}')).toBe('500');
    expect(text('{{$d := dict}}{{range until 2000}}{{$_ := set $d (toString .) .}}{{end}}{{len $d}}')).toBe(
      '2000',
    );
  });

  it('does not overflow the stack, however deep the source nests', () => {
    for (const source of [
      '('.repeat(100_000),
      `{{${'('.repeat(100_000)}1${')'.repeat(100_000)}}}`,
      '{{if 1}}'.repeat(100_000),
      '{{define "a"}}'.repeat(50_000),
      `{{if 1}}${'{{else if 1}}'.repeat(50_000)}{{end}}`,
    ]) {
      const run = () => text(source);
      if (source.startsWith('((')) expect(run()).toBe(source);
      else expect(failureOf(run).code).toBe('template.parse');
    }
    expect(text(`{{${'('.repeat(150)}1${')'.repeat(150)}}}`)).toBe('1');
    expect(
      text(
        '{{define "t"}}{{if .}}{{template "t" (rest .)}}{{else}}end{{end}}{{end}}{{template "t" (until 200)}}',
      ),
    ).toBe('end');
  });
});

describe('an error tells where, and never what', () => {
  const SECRET = 'c4n4ry-S3CR3T';
  const data = new Map([
    ['api-key', Buffer.from(SECRET)],
    ['password', Buffer.from(SECRET)],
    ['doc', Buffer.from(`{"${SECRET}": {"k": "${SECRET}"}, "open": `)],
    ['json', Buffer.from(`{"${SECRET}x": "${SECRET}"}`)],
  ]);

  it('names the template, the place and the nearest key for a missing one', () => {
    const error = failureOf(() =>
      parseTemplate('a\n  {{ .apiKey }}', { name: 'grafana/admin' }).render(data, env()),
    );
    expect(error.message).toBe(
      'template: grafana/admin:2:5: executing "grafana/admin" at <.apiKey>: map has no entry for key "apiKey"; did you mean "api-key"?',
    );
  });

  it('offers no key where none is near, and none from within a secret', () => {
    expect(failureOf(() => text('{{.zzzzzz}}', data)).message).not.toContain('did you mean');
    expect(
      failureOf(() => text(`{{(fromJson .json).${SECRET.replaceAll('-', '_')}}}`, data)).message,
    ).not.toContain(`${SECRET}x`);
  });

  it('gives line and column of what does not parse', () => {
    expect(failureOf(() => parseTemplate('ok\n{{ nope }}', { name: 't' })).message).toBe(
      'template: t:2:3: function "nope" not defined',
    );
    expect(failureOf(() => parseTemplate('{{ .api-key }}')).hint).toContain('(index . "api-key")');
  });

  const calls = [...functions].flatMap(([name, { params, variadic }]) => {
    const count = params.length + (variadic ? 1 : 0);
    return [0, 1, 2, 3, 4, 5]
      .filter((given) => given <= count + 1)
      .flatMap((given) =>
        ['.password', '.doc', '.json', '(list .password)', '(fromJson .json)', '(dict "a" .password)'].map(
          (arg) => `{{${name}${` ${arg}`.repeat(given)}}}`,
        ),
      );
  });
  it(`keeps the secret in ${calls.length} calls of every function with the wrong arguments`, () => {
    let failed = 0;
    for (const call of [
      ...calls,
      '{{range .password}}{{end}}',
      '{{.password.x}}',
      '{{template "x" .password}}',
      '{{.password | index 5}}',
      '{{index .password .password}}',
      '{{eq .password 1}}',
      '{{lt (list .password) 1}}',
      '{{regexFind (print "(" .password) .password}}',
      '{{mustToDate .password .password}}',
      '{{fail .password}}',
      '{{urlquery .password | fail}}',
      '{{call .password}}',
    ]) {
      try {
        text(call, data, { cost: 0 });
      } catch (error) {
        if (!isFailure(error)) throw new Error(`${call} threw what is no failure`, { cause: error });
        failed++;
        expect(
          `${error.message} ${error.hint} ${JSON.stringify(error.data)} ${error.cause}`,
          call,
        ).not.toContain(SECRET);
      }
    }
    expect(failed).toBeGreaterThan(1000);
  });
});

describe('the same input gives the same text', () => {
  it('of random functions too, by the bytes the caller gives', () => {
    const template =
      '{{randAlphaNum 12}} {{uuidv4}} {{htpasswd "u" "p"}} {{shuffle "abcdef"}} {{encryptAES "k" "v"}} {{randInt 5 10}} {{now | date "2006"}}';
    expect(text(template)).toBe(text(template));
    expect(text('{{uuidv4}}')).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(text('{{htpasswd "u" "p"}}')).toMatch(/^u:\$2a\$10\$[./A-Za-z0-9]{53}$/);
    expect(text('{{decryptAES "k" (encryptAES "k" "value")}}')).toBe('value');
    expect(text('{{randNumeric 5}}{{randAlpha 0}}')).toMatch(/^[0-9]{5}$/);
    expect(text('{{now.Year}} {{ago now}} {{date "2006-01-02" now}}')).toBe('2026 0s 2026-01-02');
  });

  it('makes hashes that verify, and refuses what bcrypt would cut off', async () => {
    const { compareSync } = (await import('bcryptjs')).default;
    expect(compareSync('pä$$', text('{{bcrypt "pä$$"}}'))).toBe(true);
    expect(failureOf(() => text('{{bcrypt (repeat 73 "x")}}')).message).toContain('72 bytes');
  });

  it('keeps bytes that are not UTF-8', () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    expect(render('{{.k}}', new Map([['k', bytes]]), env())).toEqual(bytes);
    expect(text('{{.k | b64enc}}', new Map([['k', bytes]]))).toBe(Buffer.from(bytes).toString('base64'));
    expect(
      render('{{.k | regexFind "(?s).*"}}', new Map([['k', Uint8Array.of(0xff, 0x41, 0xfe)]]), env()),
    ).toEqual(Uint8Array.of(0xff, 0x41, 0xfe));
  });

  it('does not reach into JavaScript', () => {
    for (const name of ['constructor', '__proto__', 'toString.x', 'hasOwnProperty']) {
      expect(failureOf(() => text(`{{.${name}}}`, {})).code).toBe('template.exec');
    }
    expect(text('{{index . "__proto__"}}', new Map())).toBe('');
    expect(
      text('{{$d := dict "__proto__" "x"}}{{$d.__proto__}}{{(fromJson "{\\"__proto__\\":1}").__proto__}}'),
    ).toBe('x1');
  });

  it('reads hexadecimal, and says nothing of what is not', () => {
    expect(text('{{hexdec "68690a"}}')).toBe('hi\n');
    expect(failureOf(() => text('{{hexdec .v}}', { v: 'xyz0' })).message).not.toContain('xyz0');
  });

  it('takes other delimiters and further functions', () => {
    expect(
      Buffer.from(
        render('[[ .a ]] {{ .a }}', { a: '1' }, env(), { delims: { left: '[[', right: ']]' } }),
      ).toString(),
    ).toBe('1 {{ .a }}');
    const shout = fn('string', (_, value) => `${value}!`);
    expect(
      Buffer.from(render('{{shout "a"}}', {}, env(), { functions: new Map([['shout', shout]]) })).toString(),
    ).toBe('a!');
  });
});

describe('whatever the source', () => {
  const piece = fc.constantFrom(
    '{{',
    '}}',
    '{{-',
    '-}}',
    '{{if ',
    '{{else}}',
    '{{end}}',
    '{{range ',
    '{{with ',
    '{{define "x"}}',
    '{{template "x" .}}',
    '{{block "x" .}}',
    '{{break}}',
    '{{/*',
    '*/}}',
    '.a',
    '$x',
    ':=',
    '=',
    ',',
    '|',
    '(',
    ')',
    '"s"',
    '`r`',
    "'c'",
    '1',
    '1.5e3',
    '0x',
    'nil',
    'true',
    'printf "%v"',
    'len',
    'index',
    'upper',
    'until 3',
    'list 1',
    'dict "a"',
    ' ',
    '\n',
    'text',
    'é',
    '\u0000',
    '..',
  );
  const source = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.array(piece, { maxLength: 25 }).map((pieces) => pieces.join('')),
  );
  const fuel: Fuel = { steps: 2000, bytes: 4000, cost: 10 };

  it('parsing gives a template or a failure, and rendering ends within its fuel', () => {
    let parsed = 0;
    let rendered = 0;
    fc.assert(
      fc.property(source, (random) => {
        try {
          const template = parseTemplate(random);
          parsed++;
          const bytes = template.render({ a: [1, 'x', null], x: { y: 'z' } }, { ...env(), fuel });
          rendered++;
          expect(bytes.length).toBeLessThanOrEqual(fuel.bytes);
        } catch (error) {
          if (!isFailure(error)) throw error;
          expect(['template.parse', 'template.exec', 'template.fuel']).toContain(error.code);
        }
      }),
      { numRuns: 3000 },
    );
    expect(parsed).toBeGreaterThan(100);
    expect(rendered).toBeGreaterThan(100);
  });

  it('text without delimiters is itself', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (random) => {
        fc.pre(!random.includes('{{') && !/\p{Surrogate}/u.test(random));
        expect(text(random)).toBe(random);
      }),
    );
  });

  it('every value survives toJson and fromJson, and base64 and base32', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const json = text('{{toRawJson .v}}', { v: value as Data });
        expect(text('{{toRawJson (fromJson .j)}}', { j: json })).toBe(json);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const data = new Map([['k', bytes]]);
        expect(render('{{.k | b64enc | b64dec}}', data, env())).toEqual(new Uint8Array(bytes));
        expect(render('{{.k | b32enc | b32dec}}', data, env())).toEqual(new Uint8Array(bytes));
      }),
    );
  });
});

describe('what took seconds, or the process, once', () => {
  const big = (unit: string, count: number): Data => ({ b: unit.repeat(count) });
  test('more arguments than the stack holds are refused', () => {
    const failure = failureOf(() => text(`{{ print${' 1'.repeat(200_000)} }}`));
    expect([failure.code, failure.message]).toEqual([
      'template.exec',
      expect.stringContaining('too many arguments'),
    ]);
  });
  test('brackets of YAML without an end are no map', () => {
    for (const unit of ['[', '{"a":', '- ', '? '])
      expect(text('{{ (fromYaml .b).Error }}', big(unit, 100_000))).toBe('the text is not a YAML map');
  });
  test('a long regular expression is paid for before it is compiled', () => {
    const failure = failureOf(() => text('{{ regexMatch .b "x" }}', big('a.', 400_000)));
    expect(failure.message).toContain('used up its steps');
  });
  test('a time is printed as source, within itself, too', () => {
    expect(text('{{ printf "%#v" (list (toDate "2006" "2024")) }}')).toBe(
      '[]interface {}{time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)}',
    );
  });
  test('a number of a million digits is none', () => {
    expect(text('{{ int .b }}', big('9', 1_000_000))).toBe('0');
  });
});

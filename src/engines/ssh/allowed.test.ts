import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isFailure } from '../../base/errors.ts';
import { publicKeyOf, type SshPublicKey } from '../../crypto/ssh/publickey.ts';
import {
  checkIssued,
  checkKey,
  criticalOptionsOf,
  extensionsOf,
  keyIdOf,
  kindOf,
  principalsOf,
  ttlOf,
} from './allowed.ts';
import { checkAddress, checkedAddress, hasAddress, userOf } from './hosts.ts';
import { type CaRole, type OtpRole, roleInput, roleOf } from './role.ts';

const role = (given: object = {}): CaRole => {
  const made = roleOf(
    roleInput.parse({ role: 'r', key_type: 'ca', allow_user_certificates: true, ...given }),
  );
  if (made.kind !== 'ca') throw new Error('not of this kind');
  return made;
};
const otp = (given: object = {}): OtpRole => {
  const made = roleOf(roleInput.parse({ role: 'r', key_type: 'otp', default_user: 'ubuntu', ...given }));
  if (made.kind !== 'otp') throw new Error('not of this kind');
  return made;
};
function refusal(work: () => unknown): string {
  try {
    return `not refused: ${JSON.stringify(work())}`;
  } catch (error) {
    if (isFailure(error, 'ssh.request')) return error.message;
    throw error;
  }
}
const keyOf = (type: 'rsa' | 'ec' | 'ed25519', bits = 0): SshPublicKey => {
  const pair =
    type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: bits })
      : type === 'ec'
        ? generateKeyPairSync('ec', { namedCurve: `P-${bits}` })
        : generateKeyPairSync('ed25519');
  const key = publicKeyOf(pair.publicKey);
  if (key === undefined) throw new Error('no key');
  return key;
};

describe('principals of users', () => {
  const team = role({ allowed_users: 'ubuntu, deploy', default_user: 'ubuntu' });

  test('without any asked for it is the default user; asked for, each one must be on the list', () => {
    expect(principalsOf(team, 'user', undefined)).toEqual(['ubuntu']);
    expect(principalsOf(team, 'user', ' ubuntu ,deploy,, ubuntu')).toEqual(['deploy', 'ubuntu']);
  });

  test.each([
    ['another name', 'root'],
    ['another name among allowed ones', 'ubuntu,root'],
    ['a part of a name', 'ubunt'],
    ['a name in capitals', 'UBUNTU'],
    ['a star', '*'],
    ['a pattern', 'ubunt?'],
    ['a name with a blank in it', 'ubuntu root'],
    ['the whole list as one name', 'ubuntu;deploy'],
    ['a name with an invisible character', 'ubuntu\u200b'],
    ['a name with a letter that looks alike', 'ubun\u0442u'],
    ['a path', '../ubuntu'],
    ['a name in quotes', '"ubuntu"'],
  ])('%s is refused', (_, asked) => {
    expect(refusal(() => principalsOf(team, 'user', asked))).toContain(
      'is not a valid value for valid_principals',
    );
  });

  test.each(['ubuntu\0', 'ubuntu\nroot', '\0', 'ubuntu\r', 'ubuntu\u0085'])(
    '%j is refused for its control character',
    (asked) => {
      const any = role({ allowed_users: '*' });
      for (const one of [team, any])
        expect(refusal(() => principalsOf(one, 'user', asked))).toBe(
          'valid_principals holds a control character',
        );
    },
  );

  test.each(['', ' ', ',', ' , ,'])(
    'an empty list, as %j, is no way to a certificate for everybody',
    (asked) => {
      expect(refusal(() => principalsOf(team, 'user', asked))).toContain('refusing to issue unsafe');
      expect(principalsOf(role({ allowed_users: 'a', allow_empty_principals: true }), 'user', asked)).toEqual(
        [],
      );
    },
  );

  test('a role without users allows none, not even its default one; a star among others is a name', () => {
    expect(refusal(() => principalsOf(role({ default_user: 'ubuntu' }), 'user', undefined))).toBe(
      'role is not configured to allow any principals',
    );
    const odd = role({ allowed_users: 'a,*' });
    expect(refusal(() => principalsOf(odd, 'user', 'root'))).toContain('root is not a valid value');
    expect(principalsOf(odd, 'user', '*')).toEqual(['*']);
  });

  test('a star allows every name, and more than OpenSSH takes are refused', () => {
    const any = role({ allowed_users: '*' });
    expect(principalsOf(any, 'user', 'root')).toEqual(['root']);
    const many = (count: number) => Array.from({ length: count }, (_, at) => `u${at}`).join(',');
    expect(principalsOf(any, 'user', many(256))).toHaveLength(256);
    expect(refusal(() => principalsOf(any, 'user', many(257)))).toBe('more than 256 valid_principals');
  });

  test('whatever is asked for, nothing comes out that is not on the list', () => {
    const letters = fc.string({
      unit: fc.constantFrom('u', 'b', ',', ' ', '*', '.', '\t', '\u00a0', 'U'),
      maxLength: 8,
    });
    fc.assert(
      fc.property(letters, letters, (rule, asked) => {
        const given = roleInput.safeParse({
          role: 'r',
          key_type: 'ca',
          allow_user_certificates: true,
          allowed_users: rule,
        });
        fc.pre(given.success && !rule.includes('\t') && rule !== '*');
        const made = role({ allowed_users: rule });
        let names: readonly string[] = [];
        try {
          names = principalsOf(made, 'user', asked);
        } catch (error) {
          if (!isFailure(error, 'ssh.request')) throw error;
          return;
        }
        expect(names.length).toBeGreaterThan(0);
        for (const name of names) expect(rule.split(',').map((item) => item.trim())).toContain(name);
      }),
    );
  });
});

describe('principals of hosts', () => {
  const host = (given: object) =>
    role({ allow_host_certificates: true, allowed_domains: 'example.com', ...given });

  test('the domain itself and what is below it are allowed apart', () => {
    const bare = host({ allow_bare_domains: true });
    const below = host({ allow_subdomains: true });
    expect(principalsOf(bare, 'host', 'example.com')).toEqual(['example.com']);
    expect(refusal(() => principalsOf(bare, 'host', 'a.example.com'))).toContain('not a valid value');
    expect(principalsOf(below, 'host', 'a.b.example.com')).toEqual(['a.b.example.com']);
    expect(refusal(() => principalsOf(below, 'host', 'example.com'))).toContain('not a valid value');
    expect(refusal(() => principalsOf(host({}), 'host', 'example.com'))).toContain('not a valid value');
  });

  test.each([
    'evilexample.com',
    '.example.com',
    'example.com.',
    'a.example.com.',
    'a.example.com.evil.org',
    'a.EXAMPLE.com',
    '*',
    '*.com',
    '?xample.com',
    'example.com:22',
    'a.example.com evil.org',
  ])('%s is not below example.com', (name) => {
    const both = host({ allow_bare_domains: true, allow_subdomains: true });
    expect(refusal(() => principalsOf(both, 'host', name))).toContain('not a valid value');
  });

  test('the default user is no name of a host', () => {
    expect(refusal(() => principalsOf(host({ default_user: 'ubuntu' }), 'host', undefined))).toContain(
      'refusing',
    );
  });
});

describe('options and extensions', () => {
  test('extensions: none but the defaults without a list, those on the list, any by a star', () => {
    const standard = role({ default_extensions: { 'permit-pty': '' } });
    expect(extensionsOf(standard, {})).toEqual({ 'permit-pty': '' });
    expect(refusal(() => extensionsOf(standard, { 'permit-pty': '' }))).toBe(
      'extensions [permit-pty] are not on allowed list',
    );
    const some = role({ allowed_extensions: 'permit-pty, login@github.com', default_extensions: { x: '1' } });
    expect(extensionsOf(some, { 'login@github.com': 'alice' })).toEqual({ 'login@github.com': 'alice' });
    expect(extensionsOf(role({ allowed_extensions: '*' }), { anything: '' })).toEqual({ anything: '' });
    for (const name of ['permit-X11-forwarding', 'Permit-pty', '*', 'permit-pty,login@github.com'])
      expect(refusal(() => extensionsOf(some, { name: '', [name]: '' }))).toContain(
        'are not on allowed list',
      );
  });

  test.each(['', ' permit-pty', 'permit-pty ', 'permit-pty\0', 'permit\npty', 'é'])(
    'the name %j is refused, whatever is allowed',
    (name) => {
      for (const allowed of ['*', '', 'permit-pty'])
        expect(refusal(() => extensionsOf(role({ allowed_extensions: allowed }), { [name]: '' }))).toContain(
          'of ASCII without blanks',
        );
      expect(refusal(() => criticalOptionsOf(role(), { [name]: '' }))).toContain('of ASCII without blanks');
    },
  );

  test('critical options: any without a list, else those on it; a value holds no control character', () => {
    expect(criticalOptionsOf(role(), { 'force-command': 'date' })).toEqual({ 'force-command': 'date' });
    const some = role({
      allowed_critical_options: 'force-command',
      default_critical_options: { 'source-address': '10.0.0.0/8' },
    });
    expect(criticalOptionsOf(some, {})).toEqual({ 'source-address': '10.0.0.0/8' });
    expect(
      refusal(() => criticalOptionsOf(some, { 'source-address': '0.0.0.0/0', 'force-command': 'x' })),
    ).toBe('critical options not on allowed list: [source-address]');
    expect(refusal(() => criticalOptionsOf(some, { 'force-command': 'a\0b' }))).toContain(
      'control character',
    );
  });

  test('a name of the prototype is a name like any other, and allows nothing', () => {
    const given = JSON.parse('{"__proto__": "x", "constructor": "y"}') as Record<string, string>;
    expect(refusal(() => extensionsOf(role({ allowed_extensions: 'permit-pty' }), given))).toContain(
      'not on allowed list',
    );
    expect(
      refusal(() => checkKey(role({ allowed_user_key_lengths: { constructor: 1 } }), keyOf('ed25519'))),
    ).toContain('is not allowed');
  });
});

describe('time to live', () => {
  const mount = { defaultMs: 3_600_000, maxMs: 7_200_000 };

  test('the role decides, then the mount; what is asked for may not go beyond', () => {
    expect(ttlOf(role(), undefined, mount)).toBe(3_600_000);
    expect(ttlOf(role({ ttl: '30m' }), undefined, mount)).toBe(1_800_000);
    expect(ttlOf(role({ ttl: '30m' }), 0, mount)).toBe(3_600_000);
    expect(ttlOf(role({ max_ttl: '10m' }), undefined, mount)).toBe(600_000);
    expect(ttlOf(role({ ttl: '9h' }), undefined, mount)).toBe(7_200_000);
    expect(refusal(() => ttlOf(role({ max_ttl: '10m' }), 601_000, mount))).toBe(
      'ttl is larger than maximum allowed 600',
    );
    expect(refusal(() => ttlOf(role(), 7_201_000, mount))).toBe('ttl is larger than maximum allowed 7200');
    expect(refusal(() => ttlOf(role(), -1000, mount))).toContain('cannot provide negative value');
  });

  test('whatever is asked for, no certificate outlives its cap', () => {
    fc.assert(
      fc.property(fc.integer({ min: -10, max: 1e9 }), fc.nat(1e6), fc.nat(1e6), (asked, ttl, max) => {
        fc.pre(max === 0 || ttl <= max);
        const made = role({ ttl, max_ttl: max });
        try {
          expect(ttlOf(made, asked, mount)).toBeLessThanOrEqual(made.maxTtlMs || mount.maxMs);
        } catch (error) {
          if (!isFailure(error, 'ssh.request')) throw error;
        }
      }),
    );
  });
});

describe('key ids and kinds of keys', () => {
  test('a key id is told by the server, and filled in once', () => {
    const publicKey = keyOf('ed25519');
    const facts = { displayName: '{{role_name}}', roleName: 'web', publicKey };
    expect(keyIdOf(role(), '', facts)).toMatch(/^vault-\{\{role_name\}\}-[0-9a-f]{64}$/);
    expect(keyIdOf(role(), '', { ...facts, displayName: '' })).toMatch(/^vault-[0-9a-f]{64}$/);
    expect(keyIdOf(role({ key_id_format: '{{role_name}}/{{other}}' }), '', facts)).toBe('web/{{other}}');
    expect(refusal(() => keyIdOf(role(), 'me', facts))).toBe('setting key_id is not allowed by role');
    const own = role({ allow_user_key_ids: true });
    expect(keyIdOf(own, 'me', facts)).toBe('me');
    expect(refusal(() => keyIdOf(own, 'me\nAccepted root', facts))).toContain('control character');
  });

  test('keys of kinds and sizes that are not listed are refused', () => {
    const some = role({ allowed_user_key_lengths: { rsa: [3072, '4096'], ec: 384, ed25519: 0 } });
    checkKey(some, keyOf('ec', 384));
    checkKey(some, keyOf('ed25519'));
    expect(refusal(() => checkKey(some, keyOf('rsa', 2048)))).toContain('key is of an invalid size: 2048');
    expect(refusal(() => checkKey(some, keyOf('ec', 256)))).toContain('key is of an invalid size: 256');
    const rsa = role({ allowed_user_key_lengths: { 'ssh-rsa': 2048, 'ecdsa-sha2-nistp256': 0 } });
    checkKey(rsa, keyOf('rsa', 2048));
    checkKey(rsa, keyOf('ec', 256));
    expect(refusal(() => checkKey(rsa, keyOf('ec', 521)))).toContain('key of type ecdsa is not allowed');
    expect(
      refusal(() =>
        checkKey(rsa, { ...keyOf('ed25519'), family: 'sk-ed25519', type: 'sk-ssh-ed25519@openssh.com' }),
      ),
    ).toContain('is not allowed');
  });

  test('what is issued goes by the size as it was asked for', () => {
    const some = role({ allowed_user_key_lengths: { rsa: 3072, ed25519: 0, 'ecdsa-sha2-nistp256': 256 } });
    checkIssued(some, 'rsa', 3072);
    checkIssued(some, 'ed25519', 0);
    checkIssued(some, 'ec', 256);
    checkIssued(role(), 'rsa', 0);
    expect(refusal(() => checkIssued(some, 'rsa', 0))).toContain('provided key_bits value');
    expect(refusal(() => checkIssued(some, 'ec', 384))).toContain('provided key_type value');
    expect(refusal(() => checkIssued(some, 'constructor', 0))).toContain('provided key_type value');
  });

  test('weak, huge and unknown kinds are not made', () => {
    expect(kindOf('rsa', 0)).toEqual({ type: 'rsa', bits: 4096 });
    expect(kindOf('ecdsa-sha2-nistp521', 0)).toEqual({ type: 'ec', bits: 521 });
    expect(refusal(() => kindOf('rsa', 1024))).toBe(
      'refusing to generate weak rsa key: 1024 bits < 2048 bits',
    );
    expect(refusal(() => kindOf('rsa', 65_536))).toContain('at most 8192');
    expect(refusal(() => kindOf('ec', 192))).toContain('unknown ECDSA');
    expect(refusal(() => kindOf('dsa', 0))).toBe('unknown ssh key pair algorithm: dsa');
  });
});

describe('hosts of passwords', () => {
  const nets = otp({ cidr_list: '10.0.0.0/8, 2001:db8::/32', exclude_cidr_list: '10.1.0.0/16' });
  const may = (one: OtpRole, ip: string) => checkAddress(one, checkedAddress(ip), false);

  test('an address must lie in a network of the role and in none that it leaves out', () => {
    for (const ip of ['10.0.0.1', '::ffff:10.2.3.4', '2001:db8::1']) may(nets, ip);
    for (const ip of ['10.1.2.3', '::ffff:10.1.2.3', '11.0.0.1', '::1', '2001:db9::'])
      expect(refusal(() => may(nets, ip))).toBe('Error validating IP: IP does not belong to role');
  });

  test('a role without networks has no address, but for those that hold for all', () => {
    for (const cidrs of ['', ' ', ',']) {
      const none = otp({ cidr_list: cidrs });
      expect(hasAddress(none, '10.0.0.1')).toBe(false);
      expect(refusal(() => may(none, '10.0.0.1'))).toContain('IP does not belong to role');
      checkAddress(none, '10.0.0.1', true);
    }
  });

  test('an address has one spelling', () => {
    expect(checkedAddress('::ffff:10.0.0.1')).toBe('10.0.0.1');
    expect(checkedAddress('2001:0DB8:0:0:0:0:0:1')).toBe('2001:db8::1');
    for (const ip of ['x', '10.0.0', '010.0.0.1', '10.0.0.1/8', 'fe80::1%eth0', '1.2.3.4\n', '0x7f.1'])
      expect(refusal(() => checkedAddress(ip))).toContain('Invalid IP');
  });

  test.each(['10.0.0.1', '10.0.0.0/33', '10.0.0.0/8;11.0.0.0/8', 'all', 'fe80::%1/64'])(
    '%s is no network',
    (cidr) => {
      expect(refusal(() => otp({ cidr_list: cidr }))).toContain('failed to validate cidr_list');
      expect(refusal(() => otp({ exclude_cidr_list: cidr }))).toContain(
        'failed to validate exclude_cidr_list',
      );
    },
  );

  test('the default user, those on the list and nobody else', () => {
    const one = otp({ allowed_users: 'a, b' });
    expect([userOf(one, ''), userOf(one, 'b'), userOf(otp({ allowed_users: '*' }), 'root')]).toEqual([
      'ubuntu',
      'b',
      'root',
    ]);
    for (const user of ['root', 'A', '*', 'a,b', ' a', 'a\0'])
      expect(refusal(() => userOf(one, user))).toBe('Username is not present is allowed users list');
    expect(refusal(() => userOf(otp(), 'root'))).toContain('has to be a default username');
  });
});

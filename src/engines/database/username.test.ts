import { describe, expect, it } from 'vitest';
import { kindOf } from './plugins.ts';
import { compileTemplate } from './username.ts';

const facts = {
  displayName: 'kubernetes-default-app',
  roleName: 'dev-userservice',
  now: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
};
const make = (template: string, changed = {}): string => compileTemplate(template)({ ...facts, ...changed });

describe('a template for names', () => {
  it('makes what PostgreSQL accounts are called, where nothing else is said', () => {
    const template = kindOf('postgresql-database-plugin').usernameTemplate;
    expect(make(template)).toMatch(/^v-kubernet-dev-user-[A-Za-z0-9]{20}-1767323045$/);
    expect(make(template)).not.toBe(make(template));
  });

  it.each([
    ['mysql-database-plugin', /^v-kubernetes-dev-userse-[A-Za-z0-9]{8}$/, 32],
    ['mysql-legacy-database-plugin', /^v-dev--[A-Za-z0-9]{9}$/, 16],
    ['mysql-rds-database-plugin', /^v-dev--[A-Za-z0-9]{9}$/, 16],
    ['mysql-aurora-database-plugin', /^v-dev--[A-Za-z0-9]{9}$/, 16],
    ['redis-database-plugin', /^V_KUBERNETES-DEFAULT-APP_DEV-USERSERVICE_[A-Z0-9]{20}_1767323045$/, 83],
    ['valkey-database-plugin', /^V_KUBERNETES-DEFAULT-APP_DEV-USERSERVICE_[A-Z0-9]{20}_1767323045$/, 83],
  ])('makes what accounts of %s are called', (plugin, expected, length) => {
    const name = make(kindOf(plugin).usernameTemplate);
    expect(name).toMatch(expected);
    expect(name.length).toBeLessThanOrEqual(length);
  });

  it('keeps something random in a name of Redis, however long the others are', () => {
    const template = kindOf('redis-database-plugin').usernameTemplate;
    const long = { displayName: 'd'.repeat(200), roleName: 'r'.repeat(128) };
    expect(make(template, long)).toMatch(/^V_D{32}_R{32}_[A-Z0-9]{20}_/);
    expect(make(template, long)).not.toBe(make(template, long));
  });

  it('takes the template that upstream documents for older MySQL, which has a value too few', () => {
    const documented = '{{ printf "v-%s-%s-%s" (.RoleName | truncate 4) (random 20) | truncate 16 }}';
    expect(make(documented)).toMatch(/^v-dev--[A-Za-z0-9]{9}$/);
    expect(make('{{ printf "%s" }}')).toBe('%!s(MISSING)');
  });

  it.each([
    ['{{.DisplayName}}', 'kubernetes-default-app'],
    ['{{ .RoleName | truncate 3 | uppercase }}', 'DEV'],
    ['x-{{ lowercase "ABC" }}', 'x-abc'],
    ['{{ replace "-" "_" .RoleName }}', 'dev_userservice'],
    ['{{ printf "%s.%s%%" "a" (.RoleName | truncate 1) }}', 'a.d%'],
    ['{{ unix_time }}/{{unix_time_millis}}', '1767323045/1767323045006'],
    ['{{ timestamp "2006-01-02T15:04:05Z" }}', '2026-01-02T03:04:05Z'],
    ['{{ "ada" | base64 }}', 'YWRh'],
    ['{{ "" | sha256 | truncate 8 }}', 'e3b0c442'],
    ['{{ .DisplayName | truncate_sha256 12 }}', 'kube'],
  ])('%s makes %s', (template, expected) => {
    expect(make(template)).toMatch(new RegExp(`^${expected.replace(/[.\\/]/g, '\\$&')}`));
  });

  it('takes out of the name of who logs in whatever could mean something', () => {
    expect(make('{{.DisplayName}}', { displayName: `a"; DROP ROLE x; --'é\0` })).toMatch(/^[\w.@+-]+$/);
  });

  it.each([
    ['{{ .Password }}', 'there is no .Password'],
    ['{{ random }}', 'random takes 1'],
    ['{{ random 0 }}', 'a length must be'],
    ['{{ random 9999 }}', 'a length must be'],
    ['{{ exec "ls" }}', 'no function exec'],
    ['{{ constructor }}', 'no function constructor'],
    ['{{ (.RoleName }}', '")" is missing'],
    ['{{ .RoleName ', 'belong together'],
    ['{{ }}', 'a value is missing'],
    ['{{ .RoleName | }}', 'a function must follow'],
    ['{{ printf "%x" "a" }}', 'printf takes %s'],
    ['', 'an empty name'],
    ['x'.repeat(5000), 'longer than'],
  ])('%s is refused', (template, reason) => {
    expect(() => make(template)).toThrow(reason);
  });
});

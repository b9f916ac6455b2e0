import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { startServer, type TestServer } from '../../server/testing.ts';
import type { Connect } from './driver.ts';
import { database } from './index.ts';

const CANARY = 'canary-root';
const CONFIG = {
  plugin_name: 'postgresql-database-plugin',
  allowed_roles: 'app-*',
  connection_url: 'postgresql://{{username}}:{{password}}@db:5432/app?sslmode=disable',
  username: 'keeper',
  password: CANARY,
};
const CREATION = `CREATE ROLE "{{name}}" PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; GRANT x TO "{{name}}"`;

/** A database that knows accounts and their passwords, and fails when it is told to. */
class Double {
  readonly accounts = new Map<string, string>([['keeper', CANARY]]);
  readonly log: string[] = [];
  /** Asked before a statement; what it throws is what the database answers. */
  before: (statement: string) => void = () => {};
  /** Asked after a transaction that changed something was kept: the answer is lost on its way. */
  after: () => void = () => {};

  readonly connect: Connect = (_target, login) => ({
    close: async () => {},
    transaction: async (work) => {
      if (this.accounts.get(login.username) !== login.password)
        throw failure('database.connection', { reason: 'password authentication failed' });
      const kept = new Map(this.accounts);
      const begun = this.log.length;
      try {
        const result = await work(async (statement, values = []) => this.#run(statement, values));
        if (this.log.slice(begun).some((statement) => !statement.startsWith('SELECT'))) this.after();
        return result;
      } catch (error) {
        if ((error as Error).message !== 'the process died') {
          this.accounts.clear();
          for (const [name, password] of kept) this.accounts.set(name, password);
        }
        throw error;
      }
    },
  });

  #run(statement: string, values: readonly string[]): Record<string, unknown>[] {
    this.before(statement);
    this.log.push(statement);
    const name = /"((?:[^"]|"")*)"/.exec(statement)?.[1]?.replaceAll('""', '"') ?? '';
    const password = /PASSWORD '((?:[^']|'')*)'/.exec(statement)?.[1]?.replaceAll("''", "'");
    if (statement.includes('pg_roles WHERE rolname = $1'))
      return this.accounts.has(values[0] ?? '') ? [{}] : [];
    if (password !== undefined) this.accounts.set(name, password);
    if (statement.startsWith('DROP ROLE')) this.accounts.delete(name);
    return [];
  }
}

describe('the database engine', () => {
  let double: Double;
  let clock: ManualClock;
  let server: TestServer;
  const refused = failure('database.failed', { reason: 'it was told to' });

  const write = (path: string, body: unknown = {}) => server.ask('POST', `database/${path}`, body);
  const read = (path: string) => server.ask('GET', `database/${path}`);
  const leases = async (): Promise<string[]> =>
    (await server.ask('LIST', 'sys/leases/lookup/database/creds/app-one')).json?.data?.keys ?? [];
  const made = (): string[] => [...double.accounts.keys()].filter((name) => name.startsWith('v-'));
  const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
    for (let tries = 0; tries < 500 && !(await holds()); tries++)
      await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await holds()).toBe(true);
  };

  beforeEach(async () => {
    double = new Double();
    clock = new ManualClock();
    server = await startServer([database(double.connect)], { clock });
    await server.ask('POST', 'sys/mounts/database', { type: 'database' });
    expect((await write('config/main', CONFIG)).status).toBe(204);
    const role = { db_name: 'main', creation_statements: CREATION, default_ttl: '1h', max_ttl: '2h' };
    expect((await write('roles/app-one', role)).status).toBe(204);
    expect((await write('roles/other', role)).status).toBe(204);
  });
  afterEach(() => server.close());

  it('has the lease on disk before the first statement, and takes the account away at its end', async () => {
    let before: Promise<string[]> | undefined;
    double.before = (statement) => {
      if (statement.startsWith('CREATE ROLE')) before ??= leases();
    };
    const { status, json } = await read('creds/app-one');
    expect(status).toBe(200);
    expect(await before).toHaveLength(1);
    expect(json.lease_duration).toBe(3600);
    expect(double.accounts.get(json.data.username)).toBe(json.data.password);
    expect(double.log.find((line) => line.startsWith('CREATE'))).toContain(
      `VALID UNTIL '2026-01-01 01:00:05+0000'`,
    );

    clock.advance(3_600_001);
    await until(() => made().length === 0);
    await until(async () => (await leases()).length === 0);
  });

  it('gives more time up to max_ttl and not beyond', async () => {
    const { json } = await read('creds/app-one');
    clock.advance(3_000_000);
    const renewed = await server.ask('POST', 'sys/leases/renew', {
      lease_id: json.lease_id,
      increment: 36_000,
    });
    expect(renewed.json.lease_duration).toBe(4200);
    expect(double.log.at(-1)).toBe(
      `ALTER ROLE "${json.data.username}" VALID UNTIL '2026-01-01 02:00:05+0000'`,
    );
    expect(
      (await server.ask('POST', 'sys/leases/renew', { lease_id: json.lease_id })).json.lease_duration,
    ).toBe(3600);
  });

  it('leaves no account where a statement fails, and tries again later where it could not be taken away', async () => {
    double.before = (statement) => {
      if (statement.startsWith('GRANT')) throw refused;
    };
    const { status, json, text } = await read('creds/app-one');
    expect({ status, errors: json.errors }).toEqual({
      status: 500,
      errors: ['the database did not do it: it was told to'],
    });
    expect(made()).toEqual([]);

    // The account is made, but the answer is lost, and so is all that is asked after it.
    double.before = () => {};
    double.after = () => {
      double.before = () => {
        throw refused;
      };
      throw new Error('the process died');
    };
    expect((await read('creds/app-one')).status).toBe(500);
    expect(made()).toHaveLength(1);
    double.before = () => {};
    double.after = () => {};
    clock.advance(3_600_001);
    await until(() => made().length === 0);
    expect(text).not.toContain(CANARY);
  });

  it('uses the statements of the role for taking back, as they are by then', async () => {
    const { json } = await read('creds/app-one');
    await write('roles/app-one', { revocation_statements: ['UPDATE log; DROP ROLE "{{name}}"'] });
    await server.ask('POST', 'sys/leases/revoke', { lease_id: json.lease_id, sync: true });
    expect(double.log.slice(-2)).toEqual(['UPDATE log', `DROP ROLE "${json.data.username}"`]);
  });

  it.each([
    ['creds/other', 500, '"other" is not an allowed role'],
    ['creds/none', 400, 'unknown role: none'],
    ['static-creds/none', 400, 'unknown role: none'],
  ])('%s answers %i: %s', async (path, status, message) => {
    expect(await read(path)).toMatchObject({ status, json: { errors: [message] } });
    expect(made()).toEqual([]);
  });

  it.each([
    [
      'config/x',
      { ...CONFIG, plugin_name: 'cassandra-database-plugin' },
      'plugin not found in the catalog: cassandra-database-plugin',
    ],
    ['config/x', { ...CONFIG, plugin_name: '__proto__' }, 'plugin not found in the catalog: __proto__'],
    ['config/x', { ...CONFIG, password: 'canary-no' }, 'error verifying connection'],
    ['config/x', { ...CONFIG, username_template: '{{ exec }}' }, 'no function exec'],
    ['config/x', { ...CONFIG, max_open_connections: 5000 }, 'max_open_connections'],
    ['config/x', { ...CONFIG, username: '' }, 'username is required'],
    ['config/-x', CONFIG, 'the name must be'],
    ['config/*', CONFIG, 'the name must be'],
    ['roles/x', { db_name: 'main' }, 'creation_statements are required'],
    ['roles/x', { creation_statements: 'a' }, 'empty database name'],
    ['roles/x', { db_name: 'main', creation_statements: `it's` }, 'does not end'],
    [
      'roles/x',
      { db_name: 'main', creation_statements: 'a', default_ttl: '2h', max_ttl: '1h' },
      'default_ttl must',
    ],
    ['roles/x', { db_name: 'main', creation_statements: 'a', default_ttl: '-1h' }, 'negative'],
    [
      'roles/x',
      { db_name: 'main', creation_statements: 'a', credential_type: 'rsa_private_key' },
      'credential_type',
    ],
    ['static-roles/app-x', { db_name: 'main', username: 'u', rotation_period: '4s' }, '5 seconds'],
    ['static-roles/app-x', { db_name: 'main', rotation_period: '1h' }, 'username is a required field'],
    ['static-roles/app-x', { db_name: 'none', username: 'u', rotation_period: '1h' }, 'failed to find entry'],
    [
      'static-roles/app-x',
      { db_name: 'main', username: 'u', rotation_schedule: '* * * *' },
      'could not parse rotation_schedule',
    ],
    ['rotate-root/none', {}, 'failed to find entry'],
    ['reset/none', {}, 'failed to find entry'],
  ])('%s is refused with %j: %s', async (path, body, message) => {
    const { status, text } = await write(path, body);
    expect(status).toBe(400);
    expect(JSON.parse(text).errors[0]).toContain(message);
    expect(text).not.toContain('canary');
    expect((await read(path)).status).not.toBe(200);
  });

  it('never shows the password or key of a configuration, and says when one stands in its URL', async () => {
    const url = `postgresql://keeper:${CANARY}@db/app`;
    const { username: _, password: __, ...rest } = CONFIG;
    const written = await write('config/inline', { ...rest, connection_url: url });
    expect(written).toMatchObject({
      status: 200,
      json: { warnings: [expect.stringContaining('Password found')] },
    });
    for (const name of ['main', 'inline']) {
      const { json, text } = await read(`config/${name}`);
      expect(json.data.allowed_roles).toEqual(['app-*']);
      expect(text).not.toContain(CANARY);
    }
    expect((await write('rotate-root/inline')).status).toBe(400);
    expect((await server.ask('LIST', 'database/config')).json.data.keys).toEqual(['inline', 'main']);
  });

  it('rotates the root password, and finds out after a crash which of the two holds', async () => {
    expect((await write('rotate-root/main')).status).toBe(204);
    const first = double.accounts.get('keeper');
    expect(first).not.toBe(CANARY);

    for (const isKept of [true, false]) {
      const before = double.accounts.get('keeper');
      double.after = () => {
        double.after = () => {};
        if (!isKept) double.accounts.set('keeper', before ?? '');
        throw new Error('the process died');
      };
      expect((await write('rotate-root/main')).status).toBe(500);
      expect(double.accounts.get('keeper') === before).toBe(!isKept);
      expect((await read('creds/app-one')).status).toBe(200);
    }
  });

  it('gives an account that is there a new password at once, when asked and when it is due', async () => {
    double.accounts.set('legacy', 'old');
    const role = { db_name: 'main', username: 'legacy', rotation_period: '1h' };
    expect((await write('static-roles/app-legacy', role)).status).toBe(204);
    const first = (await read('static-creds/app-legacy')).json.data;
    expect(first).toMatchObject({ username: 'legacy', ttl: 3600, rotation_period: 3600 });
    expect(double.accounts.get('legacy')).toBe(first.password);

    await write('rotate-role/app-legacy');
    const second = (await read('static-creds/app-legacy')).json.data.password;
    expect(second).not.toBe(first.password);

    for (let at = 0; at < 3_700_000 && double.accounts.get('legacy') === second; at += 60_000) {
      clock.advance(60_000);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await until(
      async () =>
        (await read('static-creds/app-legacy')).json.data.password === double.accounts.get('legacy'),
    );
    expect(double.accounts.get('legacy')).not.toBe(second);
    expect((await read('static-roles/app-legacy')).text).not.toContain(double.accounts.get('legacy'));
    expect((await write('static-roles/app-legacy', { username: 'keeper' })).status).toBe(400);
  });

  it('tells the password that holds after a rotation whose answer was lost', async () => {
    double.accounts.set('legacy', 'old');
    await write('static-roles/app-legacy', { db_name: 'main', username: 'legacy', rotation_period: '1h' });
    double.after = () => {
      double.after = () => {};
      throw new Error('the process died');
    };
    expect((await write('rotate-role/app-legacy')).status).toBe(500);
    expect((await read('static-creds/app-legacy')).json.data.password).toBe(double.accounts.get('legacy'));
  });

  it('keeps no role whose first password could not be set', async () => {
    double.before = (statement) => {
      if (statement.startsWith('ALTER ROLE')) throw refused;
    };
    expect(
      (await write('static-roles/app-x', { db_name: 'main', username: 'u', rotation_period: '1h' })).status,
    ).toBe(500);
    expect((await read('static-roles/app-x')).status).toBe(404);
  });
});

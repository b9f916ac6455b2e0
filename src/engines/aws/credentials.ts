/**
 * Credentials under a lease. That of an IAM user is durable before the user is made and says its name, so that it takes the
 * user away whether it was made, half made or never. A session cannot be taken back: its lease ends when it does.
 */

import { hex, textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import type { Json } from '../../base/json.ts';
import type { Call, LeaseHandler, LeaseInfo, Mount } from '../../plugin/plugin.ts';
import type { Making } from '../making.ts';
import { type Aws, failed } from './client.ts';
import type { Settings } from './config.ts';
import type { Span } from './lease.ts';
import type { Role } from './role.ts';
import { type Asked, openSession, type Session, type SessionType } from './sessions.ts';
import { nameMaker } from './username.ts';
import { createUser, furnishUser, type Key, removeUser } from './users.ts';

/** What the lease of a user remembers. Milliseconds; `endsAt`: beyond it no renewal goes. */
interface State {
  /** That of this credential alone. */
  readonly id: string;
  readonly username: string;
  readonly askedAt: number;
  readonly ttlMs: number;
  readonly endsAt: number;
}

/** AWS shows what was made everywhere only after a while: until then, one that is not seen is not known to be gone. */
const SETTLING_MS = 300_000;

export class Credentials {
  readonly users: LeaseHandler;
  readonly sessions: LeaseHandler;
  readonly #mount: Mount;
  readonly #aws: Aws;
  readonly #settings: Settings;
  readonly #span: Span;
  readonly #making: Making;

  constructor(mount: Mount, aws: Aws, settings: Settings, span: Span, making: Making) {
    this.#mount = mount;
    this.#aws = aws;
    this.#settings = settings;
    this.#span = span;
    this.#making = making;
    this.users = {
      renew: (state, askedMs) => this.#renew(state as unknown as State, askedMs),
      revoke: (state) => this.#takeAway(state as unknown as State),
    };
    this.sessions = {
      renew: async () => {
        throw failure('token.not_renewable');
      },
      revoke: async () => {},
    };
  }

  /** Makes a user, with all that the role says. @throws Failure aws.*, dial.* */
  async makeUser(
    roleName: string,
    role: Role,
    call: Call,
  ): Promise<{ readonly key: Key; readonly lease: LeaseInfo }> {
    const { clock, random } = this.#mount;
    const { config } = await this.#settings.needed();
    const iam = await this.#aws.iam(config);
    const now = clock.now();
    const { ttlMs, maxTtlMs } = await this.#span.times();
    const state: State = {
      id: hex(random(16)),
      username: nameMaker(config.usernameTemplate)('IAM', { ...namesOf(call, roleName), now }),
      askedAt: now,
      ttlMs,
      endsAt: now + maxTtlMs,
    };
    return this.#making.run(state.id, async () => {
      const lease = await call.reserve('user', state as unknown as Json, { ttlMs, maxTtlMs });
      const made = await createUser(iam, state.username, role);
      if (!made.done) {
        // Refused at the first try: there is no user, or it is somebody else's. After more tries nobody can tell.
        if (made.attempts === 1 && made.status >= 400 && made.status < 500) await this.#noteRefusal(state);
        throw failed('Error creating IAM user', made);
      }
      return { key: await furnishUser(iam, state.username, roleName, role), lease };
    });
  }

  /** Opens a session. @throws Failure aws.*, dial.* */
  async makeSession(
    type: SessionType,
    roleName: string,
    role: Role,
    asked: Asked,
    call: Call,
  ): Promise<{ readonly session: Session; readonly lease: LeaseInfo }> {
    const { config } = await this.#settings.needed();
    const now = this.#mount.clock.now();
    const names = { ...namesOf(call, roleName), now };
    const name = () => nameMaker(config.usernameTemplate)(type === 'assumed_role' ? 'IAM' : 'STS', names);
    const state = { role: roleName } as Json;
    const times = { ttlMs: asked.ttlMs, maxTtlMs: asked.ttlMs, renewable: false };
    const lease = await call.reserve('sts', state, times);
    const session = await openSession(this.#aws, type, role, asked, name);
    // As long as AWS lets it live, where that is less.
    const leftMs = Math.max(0, session.endsAt - this.#mount.clock.now());
    return { session, lease: { ...lease, durationMs: Math.min(lease.durationMs, leftMs) } };
  }

  async #renew(state: State, askedMs: number): Promise<number> {
    const { ttlMs } = await this.#span.times();
    const wanted = askedMs > 0 ? askedMs : ttlMs;
    return Math.max(1, Math.min(wanted, state.endsAt - this.#mount.clock.now()));
  }

  async #takeAway(state: State): Promise<void> {
    await this.#making.ended(state.id);
    const { storage, clock } = this.#mount;
    const note = await storage.get(refusalKey(state));
    if (note !== undefined && textOf(note.value) !== undefined) {
      await storage.commit([{ key: refusalKey(state), delete: true }]);
      return;
    }
    const isDeleted = await removeUser(await this.#aws.iam(), state.username);
    if (!isDeleted && clock.now() < state.askedAt + SETTLING_MS)
      throw failure('aws.settling', { name: state.username });
  }

  async #noteRefusal(state: State): Promise<void> {
    await this.#mount.storage.commit([{ key: refusalKey(state), value: utf8('{}') }]);
  }
}

const refusalKey = ({ id }: State): string => `refused/${id}`;

const namesOf = (call: Call, roleName: string) => ({
  displayName: call.caller?.displayName ?? '',
  roleName,
});

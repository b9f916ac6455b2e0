/** `user_lockout "all" { ... }`, and for one auth method: how often somebody may guess. Source followed: Vault's configuration. */

import { blocksOf, type HclBlock } from '../../base/hcl.ts';
import { type Placed, refusal, Stanza } from './stanza.ts';

export interface LockoutSettings {
  /** Failures in a row that lock; Infinity where it is turned off. */
  readonly threshold: number;
  readonly durationMs: number;
  readonly resetMs: number;
}

interface Written {
  readonly threshold?: number | undefined;
  readonly durationMs?: number | undefined;
  readonly resetMs?: number | undefined;
  readonly off?: boolean | undefined;
}

/** The auth methods that can be guessed at. */
const METHODS = ['userpass', 'approle', 'ldap'];
const MINUTES_15 = 15 * 60_000;
const KEYS = ['lockout_threshold', 'lockout_duration', 'lockout_counter_reset', 'disable_lockout'];

/**
 * What holds for each method: what is written for it, else for all, else five failures and fifteen minutes.
 * @throws Failure config.invalid
 */
export function readLockouts(
  placed: readonly Placed[],
  env: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<string, LockoutSettings> {
  const written = new Map<string, Written>();
  for (const item of placed)
    for (const block of blocksOf(item.item)) {
      const name = block.label.toLowerCase();
      const at = { file: item.file, line: block.line };
      if (name !== 'all' && !METHODS.includes(name))
        throw refusal(
          at,
          `there is no user_lockout ${JSON.stringify(block.label.slice(0, 40))}`,
          `Write user_lockout "all" { ... }, or name one of ${METHODS.join(', ')}.`,
        );
      if (written.has(name))
        throw refusal(at, `user_lockout "${name}" is given a second time`, 'Keep one of them.');
      written.set(name, read(item.file, block));
    }
  const isOff = [env['VAULT_DISABLE_USER_LOCKOUT'], env['BAO_DISABLE_USER_LOCKOUT']].some((text) =>
    /^(1|t|true)$/i.test(text ?? ''),
  );
  const all = written.get('all');
  return new Map(
    METHODS.map((method) => {
      const own = written.get(method);
      const off = isOff || (own?.off ?? all?.off ?? false);
      return [
        method,
        {
          threshold: off ? Number.POSITIVE_INFINITY : (own?.threshold ?? all?.threshold ?? 5),
          durationMs: own?.durationMs ?? all?.durationMs ?? MINUTES_15,
          resetMs: own?.resetMs ?? all?.resetMs ?? MINUTES_15,
        },
      ];
    }),
  );
}

function read(file: string, block: HclBlock): Written {
  const items = block.items.map((item) => ({ file, item }));
  const stanza = new Stanza(`user_lockout "${block.label}"`, items, KEYS);
  const text = stanza.text('lockout_threshold');
  if (text !== undefined && !/^[1-9]\d{0,8}$/.test(text))
    throw refusal(
      { file, line: stanza.one('lockout_threshold')?.item.line ?? block.line },
      'lockout_threshold is not a number of failures, at least 1',
      'Write lockout_threshold = "5"; to lock nobody out, write disable_lockout = true.',
    );
  return {
    threshold: text === undefined ? undefined : Number(text),
    durationMs: stanza.duration('lockout_duration'),
    resetMs: stanza.duration('lockout_counter_reset'),
    off: stanza.truth('disable_lockout'),
  };
}

/** The settings of a mount as flags: of secrets enable and tune, and of auth enable and tune. */

import { type Command, Option } from 'commander';
import { failure } from '../base/errors.ts';
import { truth } from './arguments.ts';
import type { Flags } from './session.ts';
import { more } from './settings.ts';

/** Flags that both sides have. Names are those of upstream. */
export interface TuningFlags extends Flags {
  readonly description?: string;
  readonly defaultLeaseTtl?: string;
  readonly maxLeaseTtl?: string;
  readonly version?: string;
  readonly listingVisibility?: string;
  readonly options?: readonly string[];
  readonly auditNonHmacRequestKeys?: readonly string[];
  readonly auditNonHmacResponseKeys?: readonly string[];
  readonly passthroughRequestHeaders?: readonly string[];
  readonly allowedResponseHeaders?: readonly string[];
  readonly forceNoCache?: boolean;
  readonly pluginVersion?: string;
  readonly tokenType?: string;
  readonly userLockoutThreshold?: string;
  readonly userLockoutDuration?: string;
  readonly userLockoutCounterResetDuration?: string;
  readonly userLockoutDisable?: string;
}

/** Declares them on a command. */
export function withTuning(command: Command, side: 'secrets' | 'auth'): Command {
  const declared = command
    .option('--description <text>', 'what it is for')
    .option('--default-lease-ttl <duration>', 'life of a lease or token where none is asked for')
    .option('--max-lease-ttl <duration>', 'the longest life of one')
    .option('--version <number>', 'version of a key/value engine: 1 or 2')
    .option('--listing-visibility <who>', 'unauth: show it to whoever is not logged in')
    .option('--options <key=value>', 'an option of the engine; may be given again', more)
    .option(
      '--audit-non-hmac-request-keys <key>',
      'a key left in the clear in the audit trail; may be given again',
      more,
    )
    .option('--audit-non-hmac-response-keys <key>', 'the same for answers', more)
    .option('--passthrough-request-headers <name>', 'a header handed on to it; may be given again', more)
    .option('--allowed-response-headers <name>', 'a header that it may answer; may be given again', more)
    .addOption(new Option('--force-no-cache', 'accepted for compatibility').hideHelp())
    .addOption(new Option('--plugin-version <version>', 'accepted for compatibility').hideHelp());
  return side === 'secrets'
    ? declared
    : declared
        .option('--token-type <type>', 'of the tokens it grants: service, batch, default-service, ...')
        .option('--user-lockout-threshold <number>', 'failed logins after which a user is locked')
        .option('--user-lockout-duration <duration>', 'for how long')
        .option(
          '--user-lockout-counter-reset-duration <duration>',
          'after how long without one they are forgotten',
        )
        .option('--user-lockout-disable <bool>', 'whether nobody is ever locked');
}

/** The flags as the API takes them, without those that were not given. @throws Failure cli.usage */
export function configOf(flags: TuningFlags): Record<string, unknown> {
  const lockout = given({
    lockout_threshold: flags.userLockoutThreshold,
    lockout_duration: flags.userLockoutDuration,
    lockout_counter_reset_duration: flags.userLockoutCounterResetDuration,
    lockout_disable:
      flags.userLockoutDisable === undefined
        ? undefined
        : truth(flags.userLockoutDisable, '-user-lockout-disable'),
  });
  return given({
    default_lease_ttl: flags.defaultLeaseTtl,
    max_lease_ttl: flags.maxLeaseTtl,
    listing_visibility: flags.listingVisibility,
    audit_non_hmac_request_keys: listOf(flags.auditNonHmacRequestKeys),
    audit_non_hmac_response_keys: listOf(flags.auditNonHmacResponseKeys),
    passthrough_request_headers: listOf(flags.passthroughRequestHeaders),
    allowed_response_headers: listOf(flags.allowedResponseHeaders),
    force_no_cache: flags.forceNoCache,
    plugin_version: flags.pluginVersion,
    token_type: flags.tokenType,
    user_lockout_config: Object.keys(lockout).length === 0 ? undefined : lockout,
  });
}

/** The options of the engine. @throws Failure cli.usage */
export function optionsOf(flags: TuningFlags): { options?: Record<string, string> } {
  const options = {
    ...Object.fromEntries((flags.options ?? []).map(pairOf)),
    ...(flags.version === undefined ? {} : { version: flags.version }),
  };
  return Object.keys(options).length === 0 ? {} : { options };
}

function pairOf(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw failure('cli.usage', { reason: '-options takes key=value' });
}

/** Given again, or separated by commas: both are usual. */
const listOf = (given: readonly string[] | undefined): readonly string[] | undefined =>
  given?.flatMap((text) => text.split(',')).map((text) => text.trim());

/** An object without the members that are undefined. */
export const given = (object: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));

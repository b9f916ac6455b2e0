/** A role: the requests that make, prolong and take away a credential, and what the one who asks is given of it. */

import { failure } from '../../base/errors.ts';
import { compileTemplate, type Make } from '../nametemplate.ts';
import { isPointer } from './answer.ts';
import { checkStep, isSecret, type Step } from './step.ts';
import { placesOf, readTemplate } from './template.ts';

export interface Role {
  readonly create: Step;
  /** The fields of a credential that are taken from the answer, by JSON pointers. */
  readonly response: Readonly<Record<string, string>>;
  /** Absent: leases cannot be renewed. */
  readonly renew?: Step;
  readonly revoke: Step;
  /** Fields of a credential that are made from templates. */
  readonly fields: Readonly<Record<string, string>>;
  readonly usernameTemplate: string;
  readonly passwordPolicy: string;
  /** Milliseconds; 0: the mount's. */
  readonly defaultTtlMs: number;
  readonly maxTtlMs: number;
}

/** What is known in each step. A revocation may come after a crash: it knows what was written down before the request. */
export const PLACES = {
  create: ['role', 'key', 'username', 'password', 'ttl', 'expires_at'],
  renew: ['role', 'key', 'username', 'ttl', 'expires_at'],
  revoke: ['role', 'key', 'username'],
} as const;

const NAME = /^\w(?:[\w.-]{0,126}\w)?$/;
const FIELD = /^(?!__)\w(?:[\w.-]{0,126}\w)?$/;
const MOST_FIELDS = 64;
const USERNAME =
  '{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (random 20) (unix_time) | truncate 63 }}';

/** @throws Failure custom.role */
export function checkedName(name: string): string {
  if (!NAME.test(name)) throw bad('a role is named with letters, digits, "_", "-" and "."');
  return name;
}

/** @throws Failure custom.role */
export function checkRole(role: Role): void {
  checkStep('create', role.create, PLACES.create);
  if (role.renew !== undefined) checkStep('renew', role.renew, PLACES.renew);
  checkStep('revoke', role.revoke, PLACES.revoke);
  checkFields(role);
  if (role.defaultTtlMs < 0 || role.maxTtlMs < 0) throw bad('a TTL may not be negative');
  if (role.maxTtlMs > 0 && role.defaultTtlMs > role.maxTtlMs)
    throw bad('default_ttl must not be longer than max_ttl');
  usernameMaker(role)({ displayName: 'token', roleName: 'role', now: 0 });
}

function checkFields({ response, fields }: Role): void {
  const names = [...Object.keys(response), ...Object.keys(fields)];
  if (names.length === 0) throw bad('one of create.response and fields must name a field');
  if (names.length > MOST_FIELDS) throw bad(`a credential has at most ${MOST_FIELDS} fields`);
  if (new Set(names).size < names.length) throw bad('a field stands in create.response and in fields');
  if (!names.every((name) => FIELD.test(name))) throw bad('a field has a name that it cannot have');
  if (!Object.values(response).every(isPointer))
    throw bad('create.response must name a JSON pointer, such as /account/name, for each field');
  for (const [name, text] of Object.entries(fields)) {
    const template = readTemplate(text);
    const places: readonly string[] = PLACES.create;
    // A secret of the source in a field would be told to everybody who may ask for a credential.
    if (
      template === undefined ||
      !placesOf(template).every((place) => !isSecret(place) && places.includes(place))
    )
      throw bad(`the field ${name} may have the places ${places.join(', ')} and no others`);
  }
}

/** @throws Failure custom.role, here or when a name is made */
export const usernameMaker = ({ usernameTemplate }: Pick<Role, 'usernameTemplate'>): Make =>
  compileTemplate(usernameTemplate || USERNAME, (reason) => bad(`username_template: ${reason}`));

const bad = (reason: string) => failure('custom.role', { reason });

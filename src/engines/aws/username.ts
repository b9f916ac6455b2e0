/** Names of IAM users and of STS sessions, made from `username_template` as upstream documents it. */

import { failure } from '../../base/errors.ts';
import { compileTemplate, type Fields, type Make, type NameFacts } from '../nametemplate.ts';

/** Which of the two a name is for: IAM takes 64 characters, a federated session 32. */
export type NameType = 'IAM' | 'STS';

const LIMITS: Readonly<Record<NameType, number>> = { IAM: 64, STS: 32 };

/** As upstream has it. */
export const NAME_TEMPLATE =
  '{{ if (eq .Type "STS") }}{{ printf "vault-%s-%s" (unix_time) (random 20) | truncate 32 }}{{ else }}{{ printf "vault-%s-%s-%s" (printf "%s-%s" (.DisplayName) (.PolicyName) | truncate 42) (unix_time) (random 20) | truncate 64 }}{{ end }}';

const CONDITIONAL =
  /\{\{-?\s*if\s+([^{}]*?)\s*-?\}\}(.*?)(?:\{\{-?\s*else\s*-?\}\}(.*?))?\{\{-?\s*end\s*-?\}\}/gs;
const TEST = /^\(?\s*(eq|ne)\s+\.Type\s+"([^"]*)"\s*\)?$/;
const KEYWORD = /\{\{-?\s*(?:if|else|end|range|with|define|block)\b/;
const NAME = /^[\w+=,.@-]+$/;
const DAY_MS = 86_400_000;

/** What is allowed in the names of AWS; anything else becomes "_", as upstream has it. */
export const plain = (text: string): string => text.replace(/[^a-zA-Z0-9+=,.@_-]/g, '_');

/** Made by `nameMaker`: a name of a type. */
export type MakeName = (type: NameType, facts: NameFacts) => string;

/** @throws Failure aws.template, for a template that cannot be used; aws.username from the maker */
export function nameMaker(template: string): MakeName {
  const made = { IAM: compile(template, 'IAM'), STS: compile(template, 'STS') };
  const make: MakeName = (type, facts) => checked(type, made[type](facts).trim());
  // A lease takes its user away by name: one that is made twice would be somebody else's.
  const facts = { displayName: 'token', roleName: 'role' };
  if (made.IAM({ ...facts, now: DAY_MS }) === made.IAM({ ...facts, now: 2 * DAY_MS }))
    throw refused('it makes the same name each time; use random, uuid or unix_time in it');
  return make;
}

function compile(template: string, type: NameType): Make {
  const fields: Fields = {
    Type: () => type,
    DisplayName: ({ displayName }) => plain(displayName),
    PolicyName: ({ roleName }) => plain(roleName),
  };
  return compileTemplate(chosen(template || NAME_TEMPLATE, type), refused, fields);
}

/** The template with its conditions on the type decided. */
function chosen(template: string, type: NameType): string {
  const decided = template.replace(CONDITIONAL, (_, condition: string, then: string, otherwise = '') => {
    const [, test, other] = TEST.exec(condition) ?? [];
    if (test === undefined) throw refused('a condition must be (eq .Type "STS"), or the like');
    return (test === 'eq') === (type === other) ? then : otherwise;
  });
  if (KEYWORD.test(decided)) throw refused('an "if" has one "else" at most, one "end", and no other within');
  return decided;
}

function checked(type: NameType, name: string): string {
  if (name.length > LIMITS[type]) throw failure('aws.username', { type, limit: LIMITS[type] });
  if (!NAME.test(name)) throw refused('it makes a name that AWS does not take');
  return name;
}

const refused = (reason: string) => failure('aws.template', { reason });

/**
 * What a role leaves to the identity of its callers: its templates are filled in first, and the rules are then asked of the role
 * that comes out, so that there is one set of rules for both.
 */

import { failure } from '../../base/errors.ts';
import { shown } from './fields.ts';
import { type CaRole, checkedOptions, type Templated } from './role.ts';

/** Fills the caller's identity into a text; undefined where it lacks a value, or one holds a character of `without`. */
export type Fill = (template: string, without?: string) => Promise<string | undefined>;

const TEMPLATE = /\{\{.+?\}\}/;

const SKIPPED =
  'default_extension templating enabled with at least one extension requiring identity templating. However, this request lacked identity entity information, causing one or more extensions to be skipped from the generated certificate.';

const isTemplate = (role: CaRole, field: Templated, text: string): boolean =>
  role.templated?.includes(field) === true && TEMPLATE.test(text);

/** @throws Failure ssh.template */
async function filled(fill: Fill, template: string, without: string): Promise<string> {
  const text = await fill(template, without);
  if (text === undefined) throw failure('ssh.template', { template: shown(template) });
  return text;
}

/**
 * The role with the names that one type of certificate is good for filled in. To callers without an identity a template is a
 * name like any other, as upstream has it.
 * @param fill absent: the caller has no identity
 * @throws Failure ssh.template, request.invalid
 */
export async function withPrincipals(
  role: CaRole,
  type: 'user' | 'host',
  fill: Fill | undefined,
): Promise<CaRole> {
  const name = (field: Templated, text: string, without: string): string | Promise<string> =>
    fill === undefined || !isTemplate(role, field, text) ? text : filled(fill, text, without);
  // A value of "*" would make a role that allows one name allow all of them; a comma, another name besides.
  const without = role.allowCommas === true ? '*' : '*,';
  if (type === 'host')
    return { ...role, allowedDomains: await name('allowed_domains', role.allowedDomains, without) };
  return {
    ...role,
    // Judged by the allowed users in any case.
    defaultUser: await name('default_user', role.defaultUser, ''),
    allowedUsers: await name('allowed_users', role.allowedUsers, without),
  };
}

/**
 * The role with its default extensions filled in; callers without an identity go without those that need one.
 * @param fill absent: the caller has no identity
 * @throws Failure ssh.template, ssh.request, request.invalid
 */
export async function withExtensions(
  role: CaRole,
  fill: Fill | undefined,
): Promise<{ role: CaRole; warnings: readonly string[] }> {
  const extensions: [string, string][] = [];
  let skipped = false;
  for (const [name, value] of Object.entries(role.defaultExtensions)) {
    if (!isTemplate(role, 'default_extensions', value)) extensions.push([name, value]);
    else if (fill === undefined) skipped = true;
    else extensions.push([name, await filled(fill, value, '')]);
  }
  const defaultExtensions = checkedOptions(Object.fromEntries(extensions), 'default_extensions');
  return { role: { ...role, defaultExtensions }, warnings: skipped ? [SKIPPED] : [] };
}

/**
 * Roles whose allowed domains and URIs name who asks: "{{identity.entity.name}}.example.com". What comes out of an identity was
 * written by others, so it never brings a wildcard or a further part of a URI; what cannot be filled in allows nothing.
 */

import type { Call } from '../../plugin/plugin.ts';
import type { Role } from './role.ts';

/** Characters that would make more of a value than one name. */
const BEYOND_A_NAME = '*/ ,@{}';

const isTemplate = (text: string): boolean => text.includes('{{');

async function filled(texts: readonly string[], call: Call): Promise<string[]> {
  const found = await Promise.all(
    texts.map((text) => (isTemplate(text) ? call.fill?.(text, BEYOND_A_NAME) : text)),
  );
  return found.filter((text) => text !== undefined);
}

/** The role as it is for this caller. */
export async function filledFor(role: Role, call: Call): Promise<Role> {
  if (!role.allowed_domains_template && !role.allowed_uri_sans_template) return role;
  const { allowed_domains: domains, allowed_uri_sans: uris } = role;
  return {
    ...role,
    allowed_domains: role.allowed_domains_template ? await filled(domains, call) : domains,
    allowed_uri_sans: role.allowed_uri_sans_template ? await filled(uris, call) : uris,
  };
}

/** Whether its templates can be read at all. @throws Failure request.invalid for one that names nothing */
export async function checkTemplates(role: Role, call: Call): Promise<void> {
  const { allowed_domains: domains, allowed_uri_sans: uris } = role;
  if (role.allowed_domains_template) await filled(domains, call);
  if (role.allowed_uri_sans_template) await filled(uris, call);
}

/** A seed document as the files that a check takes, each line of them at the line that it has in the document. */

import { parseDocument } from 'yaml';
import { isBag } from '../../../src/base/shape.ts';
import {
  type KnownPaths,
  type KnownServer,
  readPaths,
  readServer,
} from '../../../src/platform/check/server.ts';
import { parts } from '../documents.ts';
import type { Given, GivenRole } from './given.ts';

export interface SeedFiles {
  readonly files: readonly { readonly name: string; readonly text: string }[];
  readonly server?: KnownServer;
  readonly paths?: KnownPaths;
}

export function seedFiles(document: string, given: Given): SeedFiles {
  const { policies, roles, mounts, paths } = given;
  return {
    files: [
      { name: 'manifests.yaml', text: manifests(document) },
      ...policies.map(({ name, lines: [first, last] }) => ({
        name: `${name}.hcl`,
        text: only(document, first, last),
      })),
    ],
    ...(roles.length === 0 ? {} : { server: readServer('roles.yaml', rolesText(roles, mounts)) }),
    ...(paths.length === 0 ? {} : { paths: readPaths('paths.txt', paths.join('\n')) }),
  };
}

/** Everything in fences of YAML that says of what kind it is, named or not. */
function manifests(document: string): string {
  const lines = document.split('\n').map(() => '');
  for (const { line, text } of parts(document)) {
    const parsed = parseDocument(text, { version: '1.1', logLevel: 'silent' });
    const value: unknown = parsed.errors.length > 0 ? undefined : parsed.toJS();
    if (!isBag(value) || value['apiVersion'] === undefined || value['kind'] === undefined) continue;
    lines[line - 2] = '---';
    for (const [index, one] of text.split('\n').entries()) lines[line - 1 + index] = one;
  }
  return lines.join('\n');
}

const only = (document: string, first: number, last: number): string =>
  document
    .split('\n')
    .map((line, index) => (index >= first - 1 && index < last ? line : ''))
    .join('\n');

/** Roles in the flow style of YAML, in which several fit on a line. */
function rolesText(roles: readonly GivenRole[], mounts: Given['mounts']): string {
  const last = Math.max(...roles.map(({ line }) => line));
  const lines = Array.from({ length: last }, (_, index) =>
    roles
      .filter(({ line }) => line === index + 1)
      .map(({ name, accounts, namespaces, policies, audience }) => {
        const role = {
          bound_service_account_names: accounts,
          bound_service_account_namespaces: namespaces,
          policies,
          ...(audience === undefined ? {} : { audience }),
        };
        return `${JSON.stringify(name)}: ${JSON.stringify(role)},`;
      })
      .join(' '),
  );
  return `{ mounts: ${JSON.stringify(mounts)}, auth: { kubernetes: {${lines.join('\n')} } } }\n`;
}

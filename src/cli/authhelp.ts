/** auth help: how one logs in by a method. Written here, because a method tells nothing of it to who is not logged in. */

import type { Command } from 'commander';
import { failure } from '../base/errors.ts';
import { nearest } from '../base/nearest.ts';
import { authMounts } from '../client/sys.ts';
import { columns } from './output.ts';
import { type Flags, open, remote } from './session.ts';
import type { Terminal } from './terminal.ts';

interface Guide {
  readonly text: string;
  readonly example: string;
  /** What is given as key=value, and what it is. */
  readonly values: Readonly<Record<string, string>>;
}

const NAMED = {
  username: 'the name',
  password: 'the password; asked for without echo where it is not given',
};

const GUIDES: Readonly<Record<string, Guide>> = {
  token: {
    text: 'Log in with a token that is at hand: from "holdfast token create", or from an administrator.',
    example: 'holdfast login hvs.CAES...',
    values: { token: 'the token; asked for without echo where it is not given' },
  },
  userpass: {
    text: 'Log in with a name and a password that the server keeps.',
    example: 'holdfast login -method=userpass username=sally',
    values: NAMED,
  },
  ldap: {
    text: 'Log in with a name and a password of an LDAP directory.',
    example: 'holdfast login -method=ldap username=sally',
    values: NAMED,
  },
  approle: {
    text: 'Log in as a machine, with the two halves that were given to it on different ways.',
    example: 'holdfast login -method=approle role_id=... secret_id=@secret-id.txt',
    values: { role_id: 'which role', secret_id: 'the secret half, where the role binds one' },
  },
  kubernetes: {
    text: 'Log in as a service account of a cluster.',
    example:
      'holdfast login -method=kubernetes role=app jwt=@/var/run/secrets/kubernetes.io/serviceaccount/token',
    values: { role: 'which role', jwt: 'the token of the service account' },
  },
  jwt: {
    text: 'Log in with a token of an issuer that the server trusts.',
    example: 'holdfast login -method=jwt role=ci jwt=@token',
    values: { role: 'which role; by default that of the mount', jwt: 'the token' },
  },
  oidc: {
    text: 'Log in with an account of an identity provider, in the browser.',
    example: 'holdfast login -method=oidc role=staff',
    values: { role: 'which role; by default that of the mount' },
  },
  cert: {
    text: 'Log in with the client certificate of the connection.',
    example: 'holdfast login -method=cert -client-cert=me.pem -client-key=me.key name=web',
    values: { name: 'which entry; by default every one that matches is tried' },
  },
};

/** Declares it on the group `auth`. */
export function declareAuthHelp(group: Command, terminal: Terminal): void {
  group.helpCommand(false);
  remote(group, 'help <type-or-path>', 'Tell how one logs in by a method').action(
    async (typed: string, flags: Flags) => {
      const name = typed.replace(/^auth\//, '').replace(/\/+$/, '');
      const type = Object.hasOwn(GUIDES, name) ? name : await typeAt(name, terminal, flags);
      const guide = type === undefined ? undefined : GUIDES[type];
      if (guide === undefined)
        throw failure('cli.usage', {
          reason: `no method ${JSON.stringify(name)} is known or mounted${nearest(name, Object.keys(GUIDES))}`,
        });
      const path = type === name ? '' : ` -path=${name}`;
      terminal.out(guideText(guide, path));
    },
  );
}

const guideText = ({ text, example, values }: Guide, path: string): string =>
  [
    text,
    '',
    `    $ ${example.replace(/(-method=\w+)/, `$1${path}`)}`,
    '',
    columns(Object.entries(values).map(([key, value]) => [`    ${key}=`, value])),
  ].join('\n');

/** The type of what is mounted there, where the token may know. */
async function typeAt(path: string, terminal: Terminal, flags: Flags): Promise<string | undefined> {
  const { client } = await open(terminal, flags);
  return (await authMounts(client)).find((mount) => mount.path === `${path}/`)?.type;
}

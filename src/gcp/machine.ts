/**
 * What Google's machines say of themselves, by their metadata service: the project, the cluster that they are nodes of, and
 * who they are. Link-local, so it is asked for the operator alone and never for an address that somebody named.
 */

import type { MachineFacts, MachineIdentity } from './token.ts';

/** Asks Google's metadata service; undefined where there is none. */
export const googleMachine: MachineFacts = async (fact) => {
  const { gcpMetadata } = await import('./sdk.ts');
  const asked =
    fact === 'project'
      ? gcpMetadata.project<string>('project-id')
      : gcpMetadata.instance<string>(`attributes/${fact}`);
  const told = await asked.catch(() => undefined);
  return typeof told === 'string' && told !== '' ? told : undefined;
};

/** A token that Google's metadata service signs: who this machine is, for an audience; undefined where there is none. */
export const googleMachineIdentity: MachineIdentity = async (audience) => {
  const { gcpMetadata } = await import('./sdk.ts');
  const asked = gcpMetadata.instance<string>({
    property: 'service-accounts/default/identity',
    params: { audience, format: 'full' },
  });
  const told = await asked.catch(() => undefined);
  return typeof told === 'string' && /^[\w.-]+$/.test(told) ? told : undefined;
};

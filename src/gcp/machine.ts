/**
 * What Google's machines say of themselves, by their metadata service: the project, and the cluster that they are nodes of.
 * Nothing that opens anything; but link-local, so it is asked for the operator alone and never for an address that somebody
 * named.
 */

import type { MachineFacts } from './token.ts';

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

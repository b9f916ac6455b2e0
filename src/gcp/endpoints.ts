/** Where Google's services are. Pure. */

export type GoogleService = 'secretmanager' | 'oauth2' | 'sts' | 'iamcredentials' | 'securetoken';

const SERVICES: readonly GoogleService[] = [
  'secretmanager',
  'oauth2',
  'sts',
  'iamcredentials',
  'securetoken',
];

/** What the operator itself says of a service's endpoint: a URL without a slash at the end, or undefined for Google's own. */
export type Endpoints = (service: GoogleService) => string | undefined;

/** The endpoint of a service; those of a region keep what they hold in it. @param location already known to be a host's label */
export const endpointOf = (service: GoogleService, location = ''): string =>
  location === '' ? `https://${service}.googleapis.com` : `https://${service}.${location}.rep.googleapis.com`;

const accountUrl = (account: string, verb: string): string =>
  `${endpointOf('iamcredentials')}/v1/projects/-/serviceAccounts/${encodeURIComponent(account).replace('%40', '@')}:${verb}`;

/** Where a service account is asked for a token of its own by who may impersonate it. */
export const impersonationUrl = (account: string): string => accountUrl(account, 'generateAccessToken');

/** Where a service account signs claims for who may have it do so. */
export const signingUrl = (account: string): string => accountUrl(account, 'signJwt');

/** Where a URL of Google's really leads, by the operator's own settings. Others stay as they are. */
export function routed(url: string, endpoints: Endpoints): string {
  const { hostname, pathname, search } = new URL(url);
  const service = SERVICES.find(
    (name) => hostname.startsWith(`${name}.`) && hostname.endsWith('.googleapis.com'),
  );
  const other = service === undefined ? undefined : endpoints(service);
  return other === undefined ? url : `${other}${pathname}${search}`;
}

/**
 * What the operator's own environment says of endpoints; no manifest can. The variables are those by which Google's command
 * line is led to emulators and to endpoints of a private network.
 */
export const endpointsFrom =
  (environment: Readonly<Record<string, string | undefined>>): Endpoints =>
  (service) =>
    environment[`CLOUDSDK_API_ENDPOINT_OVERRIDES_${service.toUpperCase()}`]?.replace(/\/+$/, '') || undefined;

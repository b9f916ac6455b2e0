/** Where the services of AWS are, by region. Pure. */

export type Service = 'secretsmanager' | 'ssm' | 'sts' | 'ecr' | 'ecr-public';

/** The partitions of AWS whose hosts end otherwise than the commercial one's. */
const SUFFIXES: readonly (readonly [prefix: string, suffix: string])[] = [
  ['cn-', 'amazonaws.com.cn'],
  ['us-isob-', 'sc2s.sgov.gov'],
  ['us-isof-', 'csp.hci.ic.gov'],
  ['us-iso-', 'c2s.ic.gov'],
  ['eu-isoe-', 'cloud.adc-e.uk'],
  ['eusc-', 'amazonaws.eu'],
];

/** The regional endpoint of a service. @param region already known to be a host's label */
export function endpointOf(service: Service, region: string): string {
  const suffix = SUFFIXES.find(([prefix]) => region.startsWith(prefix))?.[1] ?? 'amazonaws.com';
  const label = service === 'ecr' || service === 'ecr-public' ? `api.${service}` : service;
  return `https://${label}.${region}.${suffix}`;
}

/** The variables by which upstream's operator is led to other endpoints (emulators, endpoints of a private network). */
const VARIABLES: Readonly<Record<Service, string>> = {
  secretsmanager: 'AWS_SECRETSMANAGER_ENDPOINT',
  ssm: 'AWS_SSM_ENDPOINT',
  sts: 'AWS_STS_ENDPOINT',
  ecr: 'AWS_ECR_ENDPOINT',
  'ecr-public': 'AWS_ECR_PUBLIC_ENDPOINT',
};

/** What the operator's own environment says of endpoints; no manifest can. */
export const endpointFrom =
  (environment: Readonly<Record<string, string | undefined>>) =>
  (service: Service): string | undefined =>
    environment[VARIABLES[service]] || undefined;

/** Where the services of AWS are, and for which region their requests are signed. Pure. */

import { failure } from '../../base/errors.ts';

/** `region`: the one that stands in the signature, which need not be the one that is meant. */
export interface Endpoint {
  readonly url: string;
  readonly region: string;
}

export interface Places {
  readonly region: string;
  readonly iamEndpoint: string;
  readonly stsEndpoint: string;
  readonly stsRegion: string;
}

const DEFAULT_REGION = 'us-east-1';

/** Each partition has one IAM, which answers in one region, and an STS in every region. */
const PARTITIONS = [
  {
    regions: /^cn-/,
    iam: 'iam.cn-north-1.amazonaws.com.cn',
    iamRegion: 'cn-north-1',
    suffix: 'amazonaws.com.cn',
  },
  {
    regions: /^us-gov-/,
    iam: 'iam.us-gov.amazonaws.com',
    iamRegion: 'us-gov-west-1',
    suffix: 'amazonaws.com',
  },
  {
    regions:
      /^(?:us|eu|ap|sa|ca|me|af|il|mx)-(?:north|south|east|west|central|northeast|northwest|southeast|southwest)-\d+$/,
    iam: 'iam.amazonaws.com',
    iamRegion: 'us-east-1',
    suffix: 'amazonaws.com',
  },
] as const;

export const isRegion = (text: string): boolean => /^[a-z]{2,8}(?:-[a-z]{2,16}){1,3}-\d{1,2}$/.test(text);

/** @throws Failure aws.config: a partition whose addresses are not known here */
export function iamEndpoint({ region, iamEndpoint: own }: Places): Endpoint {
  if (own !== '') return { url: own, region: region || DEFAULT_REGION };
  const { iam, iamRegion } = partitionOf(region || DEFAULT_REGION, 'iam_endpoint');
  return { url: `https://${iam}`, region: iamRegion };
}

/** @throws Failure aws.config: a partition whose addresses are not known here */
export function stsEndpoint({ region: general, stsEndpoint: own, stsRegion }: Places): Endpoint {
  const region = stsRegion || general || DEFAULT_REGION;
  if (own !== '') return { url: own, region };
  return { url: `https://sts.${region}.${partitionOf(region, 'sts_endpoint').suffix}`, region };
}

function partitionOf(region: string, field: string): (typeof PARTITIONS)[number] {
  const found = PARTITIONS.find(({ regions }) => regions.test(region));
  if (found !== undefined) return found;
  throw failure('aws.config', {
    reason: `where ${region} has its services is not known here: name it as ${field}`,
  });
}

/**
 * AWS for tests: Secrets Manager, Parameter Store and STS as far as the provider uses them, behind a real socket. It computes
 * each signature anew (Signature Version 4) and refuses a wrong one, so that it is known what was signed and with whose keys;
 * and it refuses what the real ones refuse: a second creation, empty values, reads of what is marked for deletion.
 */

import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

type Body = Readonly<Record<string, unknown>>;

export interface FakeCall {
  readonly service: string;
  readonly action: string;
  readonly body: Body;
  /** Empty where the request was not signed. */
  readonly accessKey: string;
  readonly sessionToken: string;
  readonly region: string;
}

export interface FakeSecret {
  readonly name: string;
  tags: Map<string, string>;
  versions: { id: string; stages: Set<string>; text?: string; binary?: string }[];
  policy?: string;
  kmsKeyId?: string;
  deletedAt?: number;
  deletion?: Body;
  regions: string[];
}

export interface FakeParameter {
  readonly name: string;
  tags: Map<string, string>;
  values: string[];
  type: string;
  request: Body;
}

/** An answer in place of the fake's own: `code` is AWS's name of an error. */
export interface FakeRefusal {
  readonly status: number;
  readonly code: string;
  readonly message?: string;
  readonly retryAfter?: string;
}

class Refused extends Error {
  readonly refusal: FakeRefusal;
  constructor(status: number, code: string, message = 'no') {
    super(code);
    this.refusal = { status, code, message };
  }
}

export interface FakeAws {
  readonly url: string;
  readonly port: number;
  readonly calls: FakeCall[];
  readonly secrets: Map<string, FakeSecret>;
  readonly parameters: Map<string, FakeParameter>;
  /** Secret keys by access key. */
  readonly keys: Map<string, { readonly secret: string; readonly token?: string }>;
  /** Stands between the provider and AWS. */
  between: ((call: FakeCall) => FakeRefusal | undefined) | undefined;
  /** How long sessions live, in seconds. */
  sessionSeconds: number;
  close(): Promise<void>;
}

const sha = (text: string): string => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const pairs = (tags: unknown): [string, string][] =>
  ((tags ?? []) as { Key: string; Value: string }[]).map(({ Key, Value }) => [Key, Value]);
const tagList = (tags: ReadonlyMap<string, string>) => [...tags].map(([Key, Value]) => ({ Key, Value }));

const GRANTED = {
  authorizationToken: Buffer.from('AWS:eyJ.pw').toString('base64'),
  expiresAt: 1_800_000_000,
};
/** What the services of private and of public registries answer, by the first half of their target. */
const REGISTRIES: Readonly<Record<string, object>> = {
  AmazonEC2ContainerRegistry_V20150921: {
    authorizationData: [{ ...GRANTED, proxyEndpoint: 'https://1234.dkr.ecr.eu-west-1.amazonaws.com' }],
  },
  SpencerFrontendService: { authorizationData: GRANTED },
};

/** Starts it on loopback, with one access key: AKIAROOT of rootSecret. */
export async function startFakeAws(): Promise<FakeAws> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const answer = handle(request.headers, request.url ?? '', Buffer.concat(chunks).toString());
      response.writeHead(answer.status, answer.headers).end(answer.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const fake: FakeAws = {
    url: `http://127.0.0.1:${port}`,
    port,
    calls: [],
    secrets: new Map(),
    parameters: new Map(),
    keys: new Map([['AKIAROOT', { secret: 'rootSecret' }]]),
    between: undefined,
    sessionSeconds: 3600,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  function handle(headers: IncomingHttpHeaders, path: string, body: string) {
    const target = text(headers['x-amz-target']);
    const isQuery = target === '';
    const parsed: Body = isQuery ? Object.fromEntries(new URLSearchParams(body)) : JSON.parse(body);
    const [prefix = '', named = ''] = target.split('.');
    const action = isQuery ? text(parsed['Action']) : named;
    const service = isQuery ? 'sts' : prefix === 'AmazonSSM' ? 'ssm' : prefix;
    try {
      const call = { service, action, body: parsed, ...signer(headers, path, body, action) };
      fake.calls.push(call);
      const instead = fake.between?.(call);
      if (instead !== undefined) return refusal(instead, isQuery);
      if (isQuery) return ok(sts(call), 'text/xml');
      const registry = REGISTRIES[service];
      if (registry !== undefined) return ok(JSON.stringify(registry), 'application/x-amz-json-1.1');
      const answer = service === 'ssm' ? ssm(action, parsed) : manager(action, parsed);
      return ok(JSON.stringify(answer), 'application/x-amz-json-1.1');
    } catch (error) {
      if (error instanceof Refused) return refusal(error.refusal, isQuery);
      return refusal({ status: 500, code: 'InternalFailure', message: String(error) }, isQuery);
    }
  }

  const ok = (body: string, type: string) => ({ status: 200, headers: { 'content-type': type }, body });

  function refusal({ status, code, message = 'no', retryAfter }: FakeRefusal, isQuery: boolean) {
    const headers: Record<string, string> = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
    const body = isQuery
      ? `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`
      : JSON.stringify({ __type: code, message });
    return { status, headers, body };
  }

  /** Who signed a request. */
  function signer(headers: IncomingHttpHeaders, path: string, body: string, action: string) {
    const none = { accessKey: '', sessionToken: '', region: '' };
    if (action === 'AssumeRoleWithWebIdentity') {
      if (headers.authorization !== undefined) throw new Refused(400, 'ValidationError');
      return none;
    }
    const match =
      /^AWS4-HMAC-SHA256 Credential=(\w+)\/(\d{8})\/([\w-]+)\/([\w-]+)\/aws4_request, SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})$/.exec(
        headers.authorization ?? '',
      );
    if (match === null) throw new Refused(403, 'MissingAuthenticationTokenException');
    const [, accessKey = '', date = '', region = '', service = '', signed = '', signature] = match;
    const key = fake.keys.get(accessKey);
    if (key === undefined) throw new Refused(400, 'UnrecognizedClientException');
    const names = signed.split(';');
    if (!['host', 'x-amz-date'].every((name) => names.includes(name)))
      throw new Refused(400, 'InvalidSignatureException');
    const canonical = [
      'POST',
      path,
      '',
      ...names.map((name) => `${name}:${text(headers[name])}`),
      '',
      signed,
      sha(body),
    ].join('\n');
    const scope = `${date}/${region}/${service}/aws4_request`;
    const toSign = ['AWS4-HMAC-SHA256', text(headers['x-amz-date']), scope, sha(canonical)].join('\n');
    const signing = [region, service, 'aws4_request'].reduce<Buffer>(hmac, hmac(`AWS4${key.secret}`, date));
    const sessionToken = text(headers['x-amz-security-token']);
    if (hmac(signing, toSign).toString('hex') !== signature || sessionToken !== (key.token ?? ''))
      throw new Refused(400, 'InvalidSignatureException');
    return { accessKey, sessionToken, region };
  }

  function sts({ action, accessKey: asked }: FakeCall): string {
    if (action === 'GetCallerIdentity')
      return `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::1234:${asked}</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`;
    const accessKey = `ASIA${randomBytes(8).toString('hex').toUpperCase()}`;
    const secret = randomBytes(20).toString('hex');
    const token = randomBytes(20).toString('hex');
    fake.keys.set(accessKey, { secret, token });
    const ends = new Date(Date.now() + fake.sessionSeconds * 1000).toISOString();
    return `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result><Credentials><AccessKeyId>${accessKey}</AccessKeyId><SecretAccessKey>${secret}</SecretAccessKey><SessionToken>${token}</SessionToken><Expiration>${ends}</Expiration></Credentials></${action}Result></${action}Response>`;
  }

  function found(id: string): FakeSecret {
    const secret = fake.secrets.get(id);
    if (secret === undefined) throw new Refused(400, 'ResourceNotFoundException', 'no such secret');
    return secret;
  }
  function living(id: string): FakeSecret {
    const secret = found(id);
    if (secret.deletedAt === undefined) return secret;
    throw new Refused(
      400,
      'InvalidRequestException',
      "You can't perform this operation on the secret because it was marked for deletion.",
    );
  }

  function shown(secret: FakeSecret, { VersionId, VersionStage = 'AWSCURRENT' }: Body) {
    const version = secret.versions.find(({ id, stages }) =>
      VersionId === undefined ? stages.has(text(VersionStage)) : id === VersionId,
    );
    if (version === undefined) throw new Refused(400, 'ResourceNotFoundException', 'no such version');
    return {
      Name: secret.name,
      VersionId: version.id,
      ...(version.text === undefined ? {} : { SecretString: version.text }),
      ...(version.binary === undefined ? {} : { SecretBinary: version.binary }),
    };
  }

  function addVersion(secret: FakeSecret, body: Body): void {
    const { SecretString, SecretBinary, ClientRequestToken } = body;
    if ((SecretString === undefined) === (SecretBinary === undefined))
      throw new Refused(400, 'InvalidParameterException', 'one of both');
    for (const { stages } of secret.versions) stages.delete('AWSCURRENT');
    secret.versions.push({
      id: text(ClientRequestToken) || randomUUID(),
      stages: new Set(['AWSCURRENT']),
      ...(SecretString === undefined ? {} : { text: text(SecretString) }),
      ...(SecretBinary === undefined ? {} : { binary: text(SecretBinary) }),
    });
  }

  function manager(action: string, body: Body): unknown {
    const id = text(body['SecretId']);
    switch (action) {
      case 'GetSecretValue':
        return shown(living(id), body);
      case 'DescribeSecret': {
        const { name, tags, versions, deletedAt, kmsKeyId, regions } = found(id);
        return {
          Name: name,
          Tags: tagList(tags),
          VersionIdsToStages: Object.fromEntries(versions.map((v) => [v.id, [...v.stages]])),
          ReplicationStatus: regions.map((Region) => ({ Region })),
          ...(kmsKeyId === undefined ? {} : { KmsKeyId: kmsKeyId }),
          ...(deletedAt === undefined ? {} : { DeletedDate: deletedAt }),
        };
      }
      case 'ListSecrets': {
        const filters = (body['Filters'] ?? []) as { Key: string; Values: string[] }[];
        // As AWS: a filter looks for beginnings, and a tag's name and value need not be of one tag.
        const has = ({ name, tags }: FakeSecret, { Key, Values }: (typeof filters)[number]) =>
          (Key === 'name' ? [name] : Key === 'tag-key' ? [...tags.keys()] : [...tags.values()]).some((one) =>
            Values.some((wanted) => one.startsWith(wanted)),
          );
        const all = [...fake.secrets.values()].filter(
          (secret) => secret.deletedAt === undefined && filters.every((filter) => has(secret, filter)),
        );
        // Small pages, whatever was asked for, so that none goes unread.
        const from = Number(body['NextToken'] ?? 0);
        return {
          SecretList: all
            .slice(from, from + 2)
            .map(({ name, tags }) => ({ Name: name, Tags: tagList(tags) })),
          ...(from + 2 < all.length ? { NextToken: String(from + 2) } : {}),
        };
      }
      case 'BatchGetSecretValue':
        return { SecretValues: (body['SecretIdList'] as string[]).map((one) => shown(living(one), {})) };
      case 'CreateSecret': {
        const name = text(body['Name']);
        if (fake.secrets.has(name)) throw new Refused(400, 'ResourceExistsException');
        const secret: FakeSecret = {
          name,
          tags: new Map(pairs(body['Tags'])),
          versions: [],
          kmsKeyId: text(body['KmsKeyId']),
          regions: ((body['AddReplicaRegions'] ?? []) as { Region: string }[]).map(({ Region }) => Region),
        };
        addVersion(secret, body);
        fake.secrets.set(name, secret);
        return { Name: name };
      }
      case 'PutSecretValue':
        addVersion(living(id), body);
        return {};
      case 'DeleteSecret': {
        const secret = living(id);
        if (secret.regions.length > 0) throw new Refused(400, 'InvalidRequestException', 'replicated');
        secret.deletion = body;
        if (body['ForceDeleteWithoutRecovery'] === true) fake.secrets.delete(id);
        else secret.deletedAt = Date.now() / 1000;
        return {};
      }
      case 'RestoreSecret':
        delete found(id).deletedAt;
        return {};
      case 'TagResource':
        for (const [key, value] of pairs(body['Tags'])) living(id).tags.set(key, value);
        return {};
      case 'UntagResource':
        for (const key of body['TagKeys'] as string[]) living(id).tags.delete(key);
        return {};
      case 'GetResourcePolicy': {
        const { policy } = living(id);
        return policy === undefined ? {} : { ResourcePolicy: policy };
      }
      case 'PutResourcePolicy':
        living(id).policy = text(body['ResourcePolicy']);
        return {};
      case 'RemoveRegionsFromReplication': {
        const secret = living(id);
        secret.regions = secret.regions.filter(
          (one) => !(body['RemoveReplicaRegions'] as string[]).includes(one),
        );
        return {};
      }
      case 'ReplicateSecretToRegions':
        living(id).regions.push(
          ...(body['AddReplicaRegions'] as { Region: string }[]).map(({ Region }) => Region),
        );
        return {};
      default:
        throw new Refused(400, 'UnknownOperationException', action);
    }
  }

  function parameter(name: string, code = 'ParameterNotFound'): FakeParameter {
    const one = fake.parameters.get(name);
    if (one === undefined) throw new Refused(400, code);
    return one;
  }

  function ssm(action: string, body: Body): unknown {
    const name = text(body['Name']);
    switch (action) {
      case 'GetParameter': {
        const [, bare = '', version] = /^([^:]*)(?::(.*))?$/.exec(name) ?? [];
        const one = parameter(bare);
        const number = version === undefined ? one.values.length : Number(version);
        const value = one.values[number - 1];
        if (value === undefined) throw new Refused(400, 'ParameterVersionNotFound');
        const shown = one.type === 'SecureString' && body['WithDecryption'] !== true ? 'sensitive' : value;
        return { Parameter: { Name: bare, Type: one.type, Value: shown, Version: number } };
      }
      case 'GetParametersByPath': {
        const folder = text(body['Path']).replace(/\/?$/, '/');
        const all = [...fake.parameters.values()].filter(({ name: one }) =>
          `/${one.replace(/^\//, '')}`.startsWith(folder),
        );
        return {
          Parameters: page(body, all).map(({ name: Name, values, type: Type }) => ({
            Name,
            Type,
            Value: values.at(-1),
          })),
          ...next(body, all),
        };
      }
      case 'DescribeParameters': {
        const filters = (body['ParameterFilters'] ?? []) as { Key: string; Values: [string] }[];
        const all = [...fake.parameters.values()].filter((one) =>
          filters.every(({ Key, Values: [value] }) =>
            Key === 'Path' ? one.name.startsWith(value) : one.tags.get(Key.replace(/^tag:/, '')) === value,
          ),
        );
        return { Parameters: page(body, all).map(({ name: Name }) => ({ Name })), ...next(body, all) };
      }
      case 'PutParameter': {
        const had = fake.parameters.get(name);
        if (had !== undefined && body['Overwrite'] !== true) throw new Refused(400, 'ParameterAlreadyExists');
        if (body['Overwrite'] === true && body['Tags'] !== undefined)
          throw new Refused(400, 'ValidationException', 'tags and overwrite');
        if (text(body['Value']) === '') throw new Refused(400, 'ValidationException', 'empty');
        fake.parameters.set(name, {
          name,
          tags: had?.tags ?? new Map(pairs(body['Tags'])),
          values: [...(had?.values ?? []), text(body['Value'])],
          type: text(body['Type']),
          request: body,
        });
        return {};
      }
      case 'DeleteParameter':
        parameter(name);
        fake.parameters.delete(name);
        return {};
      case 'ListTagsForResource':
        return { TagList: tagList(parameter(text(body['ResourceId']), 'InvalidResourceId').tags) };
      case 'AddTagsToResource':
        for (const [key, value] of pairs(body['Tags']))
          parameter(text(body['ResourceId'])).tags.set(key, value);
        return {};
      case 'RemoveTagsFromResource':
        for (const key of body['TagKeys'] as string[]) parameter(text(body['ResourceId'])).tags.delete(key);
        return {};
      default:
        throw new Refused(400, 'UnknownOperationException', action);
    }
  }

  const page = <T>(body: Body, all: readonly T[]): readonly T[] => {
    const from = Number(body['NextToken'] ?? 0);
    return all.slice(from, from + 2);
  };
  const next = (body: Body, all: readonly unknown[]) => {
    const after = Number(body['NextToken'] ?? 0) + 2;
    return after < all.length ? { NextToken: String(after) } : {};
  };

  return fake;
}

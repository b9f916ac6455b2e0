/**
 * Protobuf bodies of the few kinds that kubectl creates that way: decoding only, by one table of fields per message after
 * the `generated.proto` files of Kubernetes 1.32. A field that the table does not know is refused, never dropped.
 */

import { base64, textOf } from '../base/bytes.ts';
import { empty, type Fields, fields, isFields, type Obj, timestamp, type Value } from './objects.ts';
import { badRequest, Refusal } from './status.ts';

/** "number name type"; `?` marks what is sent only when set (so zero means zero), `*` a list, `map:` a map of texts to a type. */
const MESSAGES: Readonly<Record<string, string>> = {
  Time: '1 seconds int, 2 nanos int',
  ObjectMeta:
    '1 name text, 2 generateName text, 3 namespace text, 4 selfLink text, 5 uid text, 6 resourceVersion text, 7 generation int, 8 creationTimestamp Time, 9 deletionTimestamp Time, 10 deletionGracePeriodSeconds int?, 11 labels map:text, 12 annotations map:text, 13 ownerReferences OwnerReference*, 14 finalizers text*',
  OwnerReference:
    '1 kind text, 3 name text, 4 uid text, 5 apiVersion text, 6 controller bool?, 7 blockOwnerDeletion bool?',
  'v1/Secret':
    '1 metadata ObjectMeta, 2 data map:bytes, 3 type text, 4 stringData map:text, 5 immutable bool?',
  'v1/ConfigMap': '1 metadata ObjectMeta, 2 data map:text, 3 binaryData map:bytes, 4 immutable bool?',
  'v1/Namespace': '1 metadata ObjectMeta, 2 spec NamespaceSpec, 3 status NamespaceStatus',
  NamespaceSpec: '1 finalizers text*',
  NamespaceStatus: '1 phase text',
  'v1/ServiceAccount':
    '1 metadata ObjectMeta, 2 secrets ObjectReference*, 3 imagePullSecrets LocalObjectReference*, 4 automountServiceAccountToken bool?',
  ObjectReference:
    '1 kind text, 2 namespace text, 3 name text, 4 uid text, 5 apiVersion text, 6 resourceVersion text, 7 fieldPath text',
  LocalObjectReference: '1 name text',
  'authentication.k8s.io/v1/TokenRequest':
    '1 metadata ObjectMeta, 2 spec TokenRequestSpec, 3 status TokenRequestStatus',
  TokenRequestSpec: '1 audiences text*, 3 boundObjectRef BoundObjectReference, 4 expirationSeconds int?',
  BoundObjectReference: '1 kind text, 2 apiVersion text, 3 name text, 4 uid text',
  TokenRequestStatus: '1 token text, 2 expirationTimestamp Time',
  'authentication.k8s.io/v1/TokenReview':
    '1 metadata ObjectMeta, 2 spec TokenReviewSpec, 3 status TokenReviewStatus',
  TokenReviewSpec: '1 token text, 2 audiences text*',
  TokenReviewStatus: '1 authenticated bool, 2 user UserInfo, 3 error text, 4 audiences text*',
  UserInfo: '1 username text, 2 uid text, 3 groups text*',
  'authentication.k8s.io/v1/SelfSubjectReview': '1 metadata ObjectMeta, 2 status SelfSubjectReviewStatus',
  SelfSubjectReviewStatus: '1 userInfo UserInfo',
  'authorization.k8s.io/v1/SelfSubjectAccessReview':
    '1 metadata ObjectMeta, 2 spec AccessSpec, 3 status AccessStatus',
  'authorization.k8s.io/v1/SubjectAccessReview':
    '1 metadata ObjectMeta, 2 spec AccessSpec, 3 status AccessStatus',
  'authorization.k8s.io/v1/LocalSubjectAccessReview':
    '1 metadata ObjectMeta, 2 spec AccessSpec, 3 status AccessStatus',
  AccessSpec:
    '1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes PathAttributes, 3 user text, 4 groups text*, 6 uid text',
  ResourceAttributes:
    '1 namespace text, 2 verb text, 3 group text, 4 version text, 5 resource text, 6 subresource text, 7 name text',
  PathAttributes: '1 path text, 2 verb text',
  AccessStatus: '1 allowed bool, 2 reason text, 3 evaluationError text, 4 denied bool',
  'authorization.k8s.io/v1/SelfSubjectRulesReview':
    '1 metadata ObjectMeta, 2 spec RulesSpec, 3 status RulesStatus',
  RulesSpec: '1 namespace text',
  RulesStatus: '3 incomplete bool, 4 evaluationError text',
  'rbac.authorization.k8s.io/v1/Role': '1 metadata ObjectMeta, 2 rules PolicyRule*',
  'rbac.authorization.k8s.io/v1/ClusterRole': '1 metadata ObjectMeta, 2 rules PolicyRule*',
  PolicyRule:
    '1 verbs text*, 2 apiGroups text*, 3 resources text*, 4 resourceNames text*, 5 nonResourceURLs text*',
  'rbac.authorization.k8s.io/v1/RoleBinding': '1 metadata ObjectMeta, 2 subjects Subject*, 3 roleRef RoleRef',
  'rbac.authorization.k8s.io/v1/ClusterRoleBinding':
    '1 metadata ObjectMeta, 2 subjects Subject*, 3 roleRef RoleRef',
  Subject: '1 kind text, 2 apiGroup text, 3 name text, 4 namespace text',
  RoleRef: '1 apiGroup text, 2 kind text, 3 name text',
  'apps/v1/Deployment': '1 metadata ObjectMeta, 2 spec DeploymentSpec, 3 status DeploymentStatus',
  DeploymentSpec:
    '1 replicas int?, 2 selector LabelSelector, 3 template PodTemplateSpec, 4 strategy DeploymentStrategy, 5 minReadySeconds int, 6 revisionHistoryLimit int?, 7 paused bool, 9 progressDeadlineSeconds int?',
  DeploymentStrategy: '1 type text',
  DeploymentStatus:
    '1 observedGeneration int, 2 replicas int, 3 updatedReplicas int, 4 availableReplicas int, 5 unavailableReplicas int, 7 readyReplicas int',
  LabelSelector: '1 matchLabels map:text, 2 matchExpressions Requirement*',
  Requirement: '1 key text, 2 operator text, 3 values text*',
  PodTemplateSpec: '1 metadata ObjectMeta, 2 spec PodSpec',
  PodSpec:
    '2 containers Container*, 3 restartPolicy text, 4 terminationGracePeriodSeconds int?, 6 dnsPolicy text, 7 nodeSelector map:text, 8 serviceAccountName text, 9 serviceAccount text, 10 nodeName text, 11 hostNetwork bool, 12 hostPID bool, 13 hostIPC bool, 15 imagePullSecrets LocalObjectReference*, 16 hostname text, 17 subdomain text, 19 schedulerName text, 24 priorityClassName text',
  Container:
    '1 name text, 2 image text, 3 command text*, 4 args text*, 5 workingDir text, 6 ports ContainerPort*, 7 env EnvVar*, 8 resources Nothing, 13 terminationMessagePath text, 14 imagePullPolicy text, 16 stdin bool, 17 stdinOnce bool, 18 tty bool, 20 terminationMessagePolicy text',
  ContainerPort: '1 name text, 2 hostPort int, 3 containerPort int, 4 protocol text, 5 hostIP text',
  EnvVar: '1 name text, 2 value text',
  Nothing: '',
};

interface Field {
  readonly name: string;
  readonly type: string;
  readonly form: 'one' | 'optional' | 'list' | 'map';
}

const tables = new Map(
  Object.entries(MESSAGES).map(([message, text]) => [
    message,
    new Map(
      text
        .split(', ')
        .filter((part) => part !== '')
        .map((part): [number, Field] => {
          const [number = '', name = '', type = ''] = part.split(' ');
          if (type.startsWith('map:')) return [Number(number), { name, type: type.slice(4), form: 'map' }];
          const form = type.endsWith('*') ? 'list' : type.endsWith('?') ? 'optional' : 'one';
          return [Number(number), { name, type: type.replace(/[*?]$/, ''), form }];
        }),
    ),
  ]),
);

const MAGIC = [0x6b, 0x38, 0x73, 0x00];
const WAY_ROUND =
  'send JSON or YAML instead, such as: kubectl create ... --dry-run=client -o yaml | kubectl apply -f -';

/** Reads a body of `application/vnd.kubernetes.protobuf`. @throws Refusal UnsupportedMediaType, BadRequest */
export function decodeProtobuf(body: Uint8Array): Obj {
  if (MAGIC.some((byte, i) => body[i] !== byte)) throw badRequest('the body is no protobuf of Kubernetes');
  let type: Fields = empty();
  let raw: Uint8Array = new Uint8Array();
  for (const part of parts(body.subarray(4))) {
    if (part.number === 1 && part.bytes !== undefined) {
      for (const inner of parts(part.bytes))
        type = { ...type, [inner.number === 1 ? 'apiVersion' : 'kind']: text(inner.bytes) };
    }
    if (part.number === 2 && part.bytes !== undefined) raw = part.bytes;
  }
  const apiVersion = String(type['apiVersion'] ?? '');
  const kind = String(type['kind'] ?? '');
  if (!tables.has(`${apiVersion}/${kind}`)) {
    throw new Refusal(
      'UnsupportedMediaType',
      `this server reads no protobuf of ${kind} (${apiVersion}): ${WAY_ROUND}`,
    );
  }
  const object = decode(raw, `${apiVersion}/${kind}`, 0);
  return {
    ...fields({ apiVersion, kind }),
    ...object,
    metadata: isFields(object['metadata']) ? object['metadata'] : empty(),
  };
}

interface Part {
  readonly number: number;
  readonly bytes: Uint8Array | undefined;
  readonly int: number;
}

function* parts(body: Uint8Array): Generator<Part> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = body[at++];
      if (byte === undefined) throw badRequest('the protobuf body ends too early');
      value |= BigInt(byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return BigInt.asIntN(64, value);
    }
    throw badRequest('the protobuf body has a number that does not end');
  };
  while (at < body.length) {
    const tag = Number(varint());
    const number = tag >> 3;
    const wire = tag & 7;
    if (wire === 0) yield { number, bytes: undefined, int: Number(varint()) };
    else if (wire === 2) {
      const length = Number(varint());
      if (length < 0 || at + length > body.length) throw badRequest('the protobuf body ends too early');
      yield { number, bytes: body.subarray(at, at + length), int: 0 };
      at += length;
    } else throw badRequest('the protobuf body has a field of a kind that the API does not use');
  }
}

function text(bytes: Uint8Array | undefined): string {
  const value = bytes === undefined ? undefined : textOf(bytes);
  if (value === undefined) throw badRequest('the protobuf body has text that is not UTF-8');
  return value;
}

function decode(body: Uint8Array, message: string, depth: number): Fields {
  if (depth > 20) throw badRequest('the protobuf body nests too deep');
  const result = empty();
  for (const part of parts(body)) {
    const field = tables.get(message)?.get(part.number);
    if (field === undefined) {
      // What is always sent and empty says nothing.
      if (part.bytes === undefined ? part.int === 0 : part.bytes.length === 0) continue;
      throw new Refusal(
        'UnsupportedMediaType',
        `this server does not read field ${part.number} of ${message} in protobuf: ${WAY_ROUND}`,
      );
    }
    place(result, field, part, depth);
  }
  return result;
}

function place(result: Fields, field: Field, part: Part, depth: number): void {
  if (field.form === 'map') {
    const map = isFields(result[field.name]) ? (result[field.name] as Fields) : empty();
    let key = '';
    let value: Value = '';
    for (const entry of parts(part.bytes ?? new Uint8Array())) {
      if (entry.number === 1) key = text(entry.bytes);
      else value = read(field.type, entry, depth);
    }
    map[key] = value;
    result[field.name] = map;
    return;
  }
  const value = read(field.type, part, depth);
  if (field.form === 'list') {
    const list = result[field.name];
    result[field.name] = Array.isArray(list) ? [...list, value] : [value];
  } else if (field.form === 'optional' || !isZero(value)) result[field.name] = value;
}

const isZero = (value: Value): boolean =>
  value === '' || value === 0 || value === false || (isFields(value) && Object.keys(value).length === 0);

function read(type: string, part: Part, depth: number): Value {
  switch (type) {
    case 'text':
      return text(part.bytes);
    case 'int':
      return part.int;
    case 'bool':
      return part.int !== 0;
    case 'bytes':
      return base64(part.bytes ?? new Uint8Array());
    case 'Time': {
      const time = decode(part.bytes ?? new Uint8Array(), 'Time', depth + 1);
      return typeof time['seconds'] === 'number' ? timestamp(time['seconds'] * 1000) : empty();
    }
    default:
      return decode(part.bytes ?? new Uint8Array(), type, depth + 1);
  }
}

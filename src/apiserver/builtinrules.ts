/** What the API does with objects of its own kinds on their way in. Source: the strategies and validation of kube-apiserver. */

import { base64, fromBase64, utf8 } from '../base/bytes.ts';
import { definitionRules } from './customkinds.ts';
import {
  asFields,
  asList,
  asText,
  at,
  equal,
  type Fields,
  fields,
  isFields,
  meta,
  type Obj,
  type Value,
} from './objects.ts';
import type { Rule } from './rules.ts';
import { type Cause, fixed, required, wrong } from './status.ts';

/** A Secret's data may be 1 MiB in all. */
const SECRET_LIMIT = 1024 * 1024;

/** The keys that a type of Secret asks for. */
const SECRET_TYPES: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    'kubernetes.io/dockercfg': ['.dockercfg'],
    'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
    'kubernetes.io/ssh-auth': ['ssh-privatekey'],
    'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  }),
);
const DATA_KEY = /^[-._a-zA-Z0-9]+$/;

function checkData(data: Value | undefined, field: string, encoded: boolean): Cause[] {
  const causes: Cause[] = [];
  for (const [key, value] of Object.entries(asFields(data))) {
    const where = `${field}[${key.slice(0, 80)}]`;
    if (!DATA_KEY.test(key) || key.length > 253 || key === '.' || key === '..') {
      causes.push(
        wrong(where, "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"),
      );
    }
    if (typeof value !== 'string') causes.push(wrong(where, 'must be a string'));
    else if (encoded && fromBase64(value) === undefined) causes.push(wrong(where, 'must be base64'));
  }
  return causes;
}

function dataSize(data: Value | undefined): number {
  return Object.values(asFields(data)).reduce<number>((sum, value) => sum + (asText(value) ?? '').length, 0);
}

const secrets: Rule = {
  set(secret) {
    const plain = secret['stringData'];
    if (isFields(plain)) {
      const data = isFields(secret['data']) ? secret['data'] : fields({});
      for (const [key, value] of Object.entries(plain))
        data[key] = typeof value === 'string' ? base64(utf8(value)) : value;
      secret['data'] = data;
    }
    delete secret['stringData'];
    if (secret['data'] === null) delete secret['data'];
    if (asText(secret['type']) === undefined || secret['type'] === '') secret['type'] = 'Opaque';
  },
  check(secret, old) {
    const causes = checkData(secret['data'], 'data', true);
    const type = asText(secret['type']) ?? '';
    for (const key of SECRET_TYPES.get(type) ?? []) {
      if (asText(at(secret, 'data', key)) === undefined) causes.push(required(`data[${key}]`));
    }
    if (
      type === 'kubernetes.io/basic-auth' &&
      !['username', 'password'].some((key) => at(secret, 'data', key) !== undefined)
    ) {
      causes.push(required('data[username]'), required('data[password]'));
    }
    if (
      type === 'kubernetes.io/service-account-token' &&
      at(meta(secret)['annotations'], 'kubernetes.io/service-account.name') === undefined
    ) {
      causes.push(required('metadata.annotations[kubernetes.io/service-account.name]'));
    }
    if ((dataSize(secret['data']) * 3) / 4 > SECRET_LIMIT) {
      causes.push({
        reason: 'FieldValueTooLong',
        message: `Too long: may not be more than ${SECRET_LIMIT} bytes`,
        field: 'data',
      });
    }
    if (old !== undefined && old['type'] !== secret['type']) causes.push(wrong('type', 'field is immutable'));
    return [...causes, ...checkImmutable(secret, old, ['data'])];
  },
};

const configMaps: Rule = {
  check: (map, old) => [
    ...checkData(map['data'], 'data', false),
    ...checkData(map['binaryData'], 'binaryData', true),
    ...checkImmutable(map, old, ['data', 'binaryData']),
  ],
};

function checkImmutable(object: Obj, old: Obj | undefined, names: readonly string[]): Cause[] {
  if (old?.['immutable'] !== true) return [];
  const causes: Cause[] = [];
  if (object['immutable'] !== true)
    causes.push(fixed('immutable', 'field is immutable when `immutable` is set'));
  for (const name of names) {
    if (!equal(asFields(object[name]), asFields(old[name]))) {
      causes.push(fixed(name, 'field is immutable when `immutable` is set'));
    }
  }
  return causes;
}

const namespaces: Rule = {
  set(namespace, old) {
    const labels = isFields(meta(namespace)['labels']) ? asFields(meta(namespace)['labels']) : fields({});
    labels['kubernetes.io/metadata.name'] = meta(namespace)['name'] as Value;
    meta(namespace)['labels'] = labels;
    namespace['spec'] =
      old === undefined ? fields({ finalizers: ['kubernetes'] }) : (old['spec'] ?? fields({}));
    const status = isFields(namespace['status']) ? namespace['status'] : fields({});
    status['phase'] ??= 'Active';
    namespace['status'] = status;
  },
};

const roleBindings: Rule = {
  check(binding, old) {
    const causes: Cause[] = [];
    for (const name of ['kind', 'name']) {
      if (asText(at(binding, 'roleRef', name)) === undefined) causes.push(required(`roleRef.${name}`));
    }
    if (old !== undefined && !equal(old['roleRef'], binding['roleRef']))
      causes.push(wrong('roleRef', 'cannot change roleRef'));
    return causes;
  },
  set(binding) {
    const ref = asFields(binding['roleRef']);
    ref['apiGroup'] ??= 'rbac.authorization.k8s.io';
    for (const subject of asList(binding['subjects'])) {
      if (isFields(subject) && subject['kind'] !== 'ServiceAccount')
        subject['apiGroup'] ??= 'rbac.authorization.k8s.io';
    }
  },
};

const services: Rule = {
  set(service) {
    const spec = isFields(service['spec']) ? service['spec'] : fields({});
    spec['type'] ??= 'ClusterIP';
    spec['sessionAffinity'] ??= 'None';
    for (const port of asList(spec['ports'])) {
      if (!isFields(port)) continue;
      port['protocol'] ??= 'TCP';
      if (port['port'] !== undefined) port['targetPort'] ??= port['port'];
    }
    service['spec'] = spec;
    service['status'] ??= fields({ loadBalancer: fields({}) });
  },
  check(service) {
    const ports = asList(at(service, 'spec', 'ports'));
    const bare =
      at(service, 'spec', 'type') === 'ExternalName' || at(service, 'spec', 'clusterIP') === 'None';
    return ports.length === 0 && !bare ? [required('spec.ports')] : [];
  },
};

/** Pods of a workload get what the API always fills in, so that an unchanged manifest applied again changes nothing. */
function podDefaults(pod: Value | undefined): void {
  if (!isFields(pod)) return;
  pod['restartPolicy'] ??= 'Always';
  pod['terminationGracePeriodSeconds'] ??= 30;
  pod['dnsPolicy'] ??= 'ClusterFirst';
  pod['securityContext'] ??= fields({});
  pod['schedulerName'] ??= 'default-scheduler';
  for (const container of [...asList(pod['containers']), ...asList(pod['initContainers'])]) {
    if (!isFields(container)) continue;
    container['terminationMessagePath'] ??= '/dev/termination-log';
    container['terminationMessagePolicy'] ??= 'File';
    const image = asText(container['image']) ?? '';
    container['imagePullPolicy'] ??= /(?:^[^:]*|:latest)$/.test(image.slice(image.lastIndexOf('/') + 1))
      ? 'Always'
      : 'IfNotPresent';
    container['resources'] ??= fields({});
    for (const port of asList(container['ports'])) if (isFields(port)) port['protocol'] ??= 'TCP';
  }
}

const pods: Rule = {
  set(pod) {
    const spec = isFields(pod['spec']) ? pod['spec'] : fields({});
    spec['serviceAccountName'] ??= 'default';
    podDefaults(spec);
    pod['spec'] = spec;
    const status = isFields(pod['status']) ? pod['status'] : fields({});
    status['phase'] ??= 'Pending';
    pod['status'] = status;
  },
  check: (pod) => (asList(at(pod, 'spec', 'containers')).length === 0 ? [required('spec.containers')] : []),
};

function workloads(more: (spec: Fields) => void): Rule {
  return {
    set(object) {
      const spec = isFields(object['spec']) ? object['spec'] : fields({});
      more(spec);
      podDefaults(at(spec, 'template', 'spec'));
      object['spec'] = spec;
      object['status'] ??= fields({});
    },
    check(object, old) {
      const causes: Cause[] = [];
      const labels = asFields(at(object, 'spec', 'template', 'metadata', 'labels'));
      const wanted = asFields(at(object, 'spec', 'selector', 'matchLabels'));
      if (!isFields(at(object, 'spec', 'selector'))) causes.push(required('spec.selector'));
      if (Object.entries(wanted).some(([key, value]) => labels[key] !== value)) {
        causes.push(wrong('spec.template.metadata.labels', '`selector` does not match template `labels`'));
      }
      if (asList(at(object, 'spec', 'template', 'spec', 'containers')).length === 0)
        causes.push(required('spec.template.spec.containers'));
      if (old !== undefined && !equal(at(old, 'spec', 'selector'), at(object, 'spec', 'selector'))) {
        causes.push(wrong('spec.selector', 'field is immutable'));
      }
      return causes;
    },
  };
}

const deployments = workloads((spec) => {
  spec['replicas'] ??= 1;
  spec['revisionHistoryLimit'] ??= 10;
  spec['progressDeadlineSeconds'] ??= 600;
  spec['strategy'] ??= fields({
    type: 'RollingUpdate',
    rollingUpdate: fields({ maxUnavailable: '25%', maxSurge: '25%' }),
  });
});

export const builtInRules: Readonly<Record<string, readonly Rule[]>> = {
  Secret: [secrets],
  ConfigMap: [configMaps],
  Namespace: [namespaces],
  RoleBinding: [roleBindings],
  ClusterRoleBinding: [roleBindings],
  Service: [services],
  Pod: [pods],
  Deployment: [deployments],
  StatefulSet: [
    workloads((spec) => {
      spec['replicas'] ??= 1;
      spec['revisionHistoryLimit'] ??= 10;
      spec['podManagementPolicy'] ??= 'OrderedReady';
    }),
  ],
  DaemonSet: [workloads((spec) => (spec['revisionHistoryLimit'] ??= 10))],
  ReplicaSet: [workloads((spec) => (spec['replicas'] ??= 1))],
  CustomResourceDefinition: definitionRules,
};

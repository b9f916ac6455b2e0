/** `seal "file"` and `seal "kubernetes"`: keys that lie near the store, for those who know what that is worth. */

import type { Fields } from './fields.ts';

export interface FileSettings {
  readonly kind: 'file';
  readonly path: string;
}

export interface KubernetesSettings {
  readonly kind: 'kubernetes';
  /** Absent: that of the pod, or of the kubeconfig. */
  readonly namespace: string | undefined;
  readonly name: string;
  /** The key of the Secret's data. */
  readonly entry: string;
  /** Absent: the cluster that the server runs in. */
  readonly kubeconfig: string | undefined;
}

export const FILE_KEYS: readonly string[] = ['path'];
export const KUBERNETES_KEYS: readonly string[] = ['namespace', 'name', 'key', 'kubeconfig', 'demo'];

/** @throws Failure config.invalid */
export function readFile(fields: Fields): FileSettings {
  return {
    kind: 'file',
    path: fields.required('path', 'Write path = "/etc/holdfast/seal.key": a file with the mode 0600.'),
  };
}

const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** @throws Failure config.invalid */
export function readKubernetes(fields: Fields): KubernetesSettings {
  if (!fields.truth('demo'))
    throw fields.refused(
      'keeps the key beside what it protects: whoever may read Secrets in its namespace, or a backup of the cluster, opens the store',
      'Use another seal; where it is a demonstration, write demo = "true".',
    );
  const named = (key: string, otherwise: string): string =>
    fields.shaped(
      key,
      fields.text(key) || otherwise,
      NAME,
      `Write ${key} = "holdfast-unseal", or another name.`,
    );
  return {
    kind: 'kubernetes',
    namespace: fields.text('namespace') === '' ? undefined : named('namespace', ''),
    name: named('name', 'holdfast-unseal'),
    entry: fields.shaped(
      'key',
      fields.text('key') || 'key',
      /^[-._a-zA-Z0-9]{1,253}$/,
      'Write key = "key": a key of the data of the Secret.',
    ),
    kubeconfig: fields.text('kubeconfig') || undefined,
  };
}

/**
 * `seal`: what opens the server when it starts. None, or `seal "shamir"`: people do, with key shares. A second stanza, with
 * `disabled = "true"`, is the seal that the store is to be moved away from.
 * Source followed: the seal pages of Vault's documentation, and their environment variables.
 */

import { blocksOf, type HclBlock } from '../../base/hcl.ts';
import { own } from '../../base/own.ts';
import { AWSKMS_KEYS, type AwsKmsSettings, readAwsKms } from './seals/awskms.ts';
import { AZUREKEYVAULT_KEYS, type AzureKeyVaultSettings, readAzureKeyVault } from './seals/azurekeyvault.ts';
import { type At, type Env, Fields } from './seals/fields.ts';
import { GCPCKMS_KEYS, type GcpKmsSettings, readGcpKms } from './seals/gcpckms.ts';
import {
  FILE_KEYS,
  type FileSettings,
  KUBERNETES_KEYS,
  type KubernetesSettings,
  readFile,
  readKubernetes,
} from './seals/local.ts';
import { readTransit, TRANSIT_KEYS, type TransitSettings } from './seals/transit.ts';
import { type Placed, refusal, Stanza } from './stanza.ts';

export type { TransitSettings };

export type SealSettings =
  | TransitSettings
  | AwsKmsSettings
  | GcpKmsSettings
  | AzureKeyVaultSettings
  | KubernetesSettings
  | FileSettings;

export interface SealsSettings {
  /** Absent: key shares. */
  readonly active: SealSettings | undefined;
  readonly retired: SealSettings | undefined;
}

interface Read {
  readonly at: At;
  readonly settings: SealSettings | undefined;
  readonly disabled: boolean;
}

interface Kind {
  readonly keys: readonly string[];
  read(fields: Fields, notes: string[]): SealSettings;
}

const KINDS: Readonly<Record<string, Kind>> = {
  transit: { keys: TRANSIT_KEYS, read: readTransit },
  awskms: { keys: AWSKMS_KEYS, read: readAwsKms },
  gcpckms: { keys: GCPCKMS_KEYS, read: readGcpKms },
  azurekeyvault: { keys: AZUREKEYVAULT_KEYS, read: readAzureKeyVault },
  kubernetes: { keys: KUBERNETES_KEYS, read: readKubernetes },
  file: { keys: FILE_KEYS, read: readFile },
};

const EXISTING = `there are ${[...Object.keys(KINDS), 'shamir'].map((kind) => `"${kind}"`).join(', ')}`;
const MEND = 'Use one of them, or remove the stanza and unseal with `holdfast operator unseal`.';
/** Upstream's kinds of seal that are not here. */
const OTHERS = ['alicloudkms', 'ocikms', 'pkcs11', 'kmip', 'static', 'ovhcloud', 'tcloudpublic'];
/** Of every seal; how often upstream asks its service whether it is well is not used here. */
const COMMON = [
  'disabled',
  'health_check_enabled',
  'health_check_timeout',
  'health_check_interval',
  'health_check_interval_unhealthy',
];

/**
 * The seals of all stanzas; where there is none, VAULT_SEAL_TYPE may name one that the environment alone configures.
 * @param notes takes what the person who wrote the file should know
 * @throws Failure config.invalid
 */
export function readSeals(placed: readonly Placed[], env: Env, notes: string[]): SealsSettings {
  const read = placed.flatMap((item) =>
    blocksOf(item.item).map((block) => readSeal(item.file, block, env, notes)),
  );
  const byEnvironment = env['BAO_SEAL_TYPE'] || env['VAULT_SEAL_TYPE'];
  if (read.length === 0 && byEnvironment) {
    const block = { label: byEnvironment, items: [], line: 0, column: 0 };
    read.push(readSeal('VAULT_SEAL_TYPE', block, env, notes));
  }
  const second = (found: readonly Read[], reason: string, mend: string): void => {
    const extra = found[1];
    if (extra !== undefined) throw refusal(extra.at, reason, mend);
  };
  const active = read.filter(({ disabled }) => !disabled);
  const retired = read.filter(({ disabled }) => disabled);
  second(
    active,
    'two seals are to guard one store',
    'Keep one; to move away from the other, write disabled = "true" in it.',
  );
  second(retired, 'two seals are disabled', 'Keep the one that the store is under now.');
  const [to, from] = [active[0]?.settings, retired[0]?.settings];
  if (to !== undefined && to.kind === from?.kind)
    throw refusal(
      retired[0]?.at ?? { file: '', line: 0 },
      `a store is not moved from one seal "${to.kind}" to another in one step`,
      'Move it to key shares first: disable this seal, remove the other, and unseal with -migrate; then to the other.',
    );
  return { active: to, retired: from };
}

function readSeal(file: string, block: HclBlock, env: Env, notes: string[]): Read {
  const { label, items, line } = block;
  const at = { file, line };
  const name = `seal ${JSON.stringify(label.slice(0, 40))}`;
  const stanzaOf = (known: readonly string[]): Stanza =>
    new Stanza(
      name,
      items.map((item) => ({ file, item })),
      known,
    );
  if (label === 'shamir') {
    if (stanzaOf(COMMON).truth('disabled') === true)
      throw refusal(
        at,
        'Shamir seals cannot be set disabled (they should simply not be set)',
        'Remove the stanza.',
      );
    return { at, settings: undefined, disabled: false };
  }
  const kind = own(KINDS, label);
  if (kind === undefined)
    throw refusal(
      at,
      OTHERS.includes(label) ? `${name} is not built: ${EXISTING}` : `there is no ${name}: ${EXISTING}`,
      MEND,
    );
  const stanza = stanzaOf([...COMMON, ...kind.keys]);
  return {
    at,
    settings: kind.read(new Fields(name, stanza, at, env), notes),
    disabled: stanza.truth('disabled') === true,
  };
}

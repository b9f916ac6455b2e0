/**
 * Requests to stores, by the names under which dashboards of external-secrets count them
 * (`externalsecret_provider_api_calls_count`). Only names of services and calls are taken, never what they were asked for.
 */

import { own } from '../../base/own.ts';
import type { WebRequest } from '../../base/web.ts';
import type { WayOut } from '../../provider/egress.ts';

/** @param provider "HashiCorp/Vault"; @param call "ReadSecretData"; @param ms how long it took */
export type CountCall = (provider: string, call: string, ok: boolean, ms: number) => void;

/** Upstream's names of providers, by the property under `spec.provider`. */
const PROVIDERS: Readonly<Record<string, string>> = {
  vault: 'HashiCorp/Vault',
  aws: 'AWS',
  gcpsm: 'GCP/SecretManager',
  azurekv: 'Azure/KeyVault',
  kubernetes: 'Kubernetes',
  webhook: 'Webhook',
  fake: 'Fake',
};

/** AWS's services, by what stands before the point in `x-amz-target`. */
const TARGETS: Readonly<Record<string, string>> = {
  secretsmanager: 'AWS/SecretsManager',
  AmazonSSM: 'AWS/ParameterStore',
};

export const providerName = (name: string): string => PROVIDERS[name] ?? name;

/** What a request over HTTP is counted as. Pure. */
export function webCall(
  provider: string,
  { method, url, headers, body }: WebRequest,
): { readonly provider: string; readonly call: string } {
  if (provider === 'aws') {
    const [service = '', call = ''] = (headers?.['x-amz-target'] ?? '').split('.');
    if (call !== '') return { provider: TARGETS[service] ?? 'AWS', call: word(call) };
    // STS takes forms.
    return { provider: 'AWS/STS', call: word(/(?:^|&)Action=(\w+)/.exec(body ?? '')?.[1] ?? '') };
  }
  const known = providerName(provider);
  if (provider === 'gcpsm') return { provider: known, call: googleCall(method, url) };
  if (provider === 'azurekv') return { provider: known, call: azureCall(method, url) };
  return { provider: known, call: 'HTTPRequest' };
}

/** @returns the same ways out, with each request over HTTP counted when it ended */
export function countedWayOut(wayOut: WayOut, provider: string, count: CountCall): WayOut {
  return {
    ...wayOut,
    async dial(request) {
      const named = webCall(provider, request);
      const began = performance.now();
      const ended = (ok: boolean): void => count(named.provider, named.call, ok, performance.now() - began);
      try {
        const answer = await wayOut.dial(request);
        ended(answer.status < 400);
        return answer;
      } catch (error) {
        ended(false);
        throw error;
      }
    },
  };
}

/** What a request of a client with connections of its own is counted as. @returns provider and call */
export function directCall(
  provider: string,
  { method, path }: { readonly method: string; readonly path: string },
): [provider: string, call: string] {
  return [
    providerName(provider),
    provider === 'kubernetes' ? kubernetesCall(method, path) : vaultCall(method, path),
  ];
}

/** Requests to the Vault API. @param path as the client names it: "secret/data/app" */
function vaultCall(method: string, path: string): string {
  if (path === 'auth/token/lookup-self') return 'LookupSelf';
  if (path === 'auth/token/revoke-self') return 'RevokeSelf';
  if (path === 'auth/token/renew-self') return 'RenewSelf';
  if (/^auth\/.+\/login(\/|$)/.test(path)) return 'Login';
  if (/^sys\/(health|capabilities-self|internal\/)/.test(path)) return 'System';
  if (method === 'LIST') return 'ListSecrets';
  if (method === 'DELETE') return 'DeleteSecret';
  return method === 'GET' ? 'ReadSecretData' : 'WriteSecretData';
}

/** Requests to the API of a cluster: Secrets, and what the store may do with them. */
function kubernetesCall(method: string, path: string): string {
  if (method === 'POST' && path.includes('selfsubject')) return 'CreateSelfSubjectRulesReview';
  if (method === 'GET') return path.endsWith('/secrets') ? 'ListSecrets' : 'GetSecret';
  return (
    own(
      { POST: 'CreateSecret', PUT: 'UpdateSecret', PATCH: 'PatchSecret', DELETE: 'DeleteSecret' },
      method,
    ) ?? 'Other'
  );
}

function googleCall(method: string, url: string): string {
  const path = pathOf(url);
  const verb = /:(\w+)$/.exec(path)?.[1];
  if (verb === 'access') return 'AccessSecretVersion';
  if (verb === 'addVersion') return 'AddSecretVersion';
  if (verb !== undefined) return word(verb);
  if (!path.includes('/secrets')) return 'Token';
  if (method === 'GET') return /\/secrets$/.test(path) ? 'ListSecrets' : 'GetSecret';
  return own({ POST: 'CreateSecret', PATCH: 'UpdateSecret', DELETE: 'DeleteSecret' }, method) ?? 'Other';
}

function azureCall(method: string, url: string): string {
  const [, kind = '', name] = pathOf(url).split('/');
  const what = own({ secrets: 'Secret', keys: 'Key', certificates: 'Certificate' }, kind);
  if (what === undefined) return 'Token';
  if (method === 'GET') return name === undefined || name === '' ? `Get${what}s` : `Get${what}`;
  return `${own({ PUT: 'Set', POST: 'Import', PATCH: 'Update', DELETE: 'Delete' }, method) ?? 'Other'}${what}`;
}

const pathOf = (url: string): string => (URL.canParse(url) ? new URL(url).pathname : '');

/** Names of calls come from our own clients; nothing else may become a label. */
const word = (text: string): string => (/^[A-Za-z]\w{0,63}$/.test(text) ? text : 'Other');

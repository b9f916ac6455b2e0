/** `config/`: what holds for the whole mount. */

import { z } from 'zod';
import { goDuration } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { commaList, duration, flag } from '../../../base/schema.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import { findIssuer, findKey } from '../issuers.ts';
import { refreshLists } from '../lists.ts';
import type { CrlSettings, PkiStore, Settings, Urls } from '../store.ts';
import { checkedUrls } from './issuers.ts';

const texts = z.array(z.string());

const urlsAnswer = z.object({
  issuing_certificates: texts,
  crl_distribution_points: texts,
  delta_crl_distribution_points: texts,
  ocsp_servers: texts,
  enable_templating: z.boolean(),
});
const urlsData = (urls: Urls): z.input<typeof urlsAnswer> => ({
  issuing_certificates: [...urls.issuing],
  crl_distribution_points: [...urls.crl],
  delta_crl_distribution_points: [...urls.delta],
  ocsp_servers: [...urls.ocsp],
  enable_templating: urls.templating,
});

const crlAnswer = z.object({
  expiry: z.string(),
  disable: z.boolean(),
  ocsp_disable: z.boolean(),
  ocsp_expiry: z.string(),
  auto_rebuild: z.boolean(),
  auto_rebuild_grace_period: z.string(),
  enable_delta: z.boolean(),
  delta_rebuild_interval: z.string(),
});
/** As upstream's own settings are written: without the units that are nought. */
const plainDuration = (ms: number): string =>
  goDuration(ms)
    .replace(/(?<=m)0s$/, '')
    .replace(/(?<=h)0m$/, '');

const crlData = (crl: CrlSettings): z.input<typeof crlAnswer> => ({
  expiry: plainDuration(crl.expiry),
  disable: crl.disable,
  ocsp_disable: crl.ocspDisable,
  ocsp_expiry: plainDuration(crl.ocspExpiry),
  auto_rebuild: crl.autoRebuild,
  auto_rebuild_grace_period: plainDuration(crl.grace),
  enable_delta: crl.enableDelta,
  delta_rebuild_interval: plainDuration(crl.deltaInterval),
});

const issuersAnswer = z.object({ default: z.string(), default_follows_latest_issuer: z.boolean() });
const issuersData = (issuers: Settings['issuers']): z.input<typeof issuersAnswer> => ({
  default: issuers.default,
  default_follows_latest_issuer: issuers.followsLatest,
});
const keysAnswer = z.object({ default: z.string() });
const clusterAnswer = z.object({ path: z.string(), aia_path: z.string() });
const clusterData = (cluster: Settings['cluster']): z.input<typeof clusterAnswer> => ({
  path: cluster.path,
  aia_path: cluster.aiaPath,
});

/** @throws Failure pki.request where the times contradict one another */
function checkedCrl(crl: CrlSettings): CrlSettings {
  const refused = (reason: string) => failure('pki.request', { reason });
  const least = 60_000;
  if (crl.expiry < least || crl.ocspExpiry < 0 || crl.deltaInterval < 1000 || crl.grace < 0)
    throw refused('expiry must be a minute at least, delta_rebuild_interval a second, and no time negative');
  if (crl.autoRebuild && crl.grace >= crl.expiry)
    throw refused('CRL auto-rebuilding grace period must be strictly shorter than CRL expiry');
  if (crl.enableDelta && !crl.autoRebuild)
    throw refused('delta CRLs cannot be enabled when auto rebuilding is disabled');
  if (crl.enableDelta && crl.deltaInterval >= crl.expiry)
    throw refused('CRL delta rebuild window must be strictly shorter than CRL expiry');
  return crl;
}

export function configRoutes(store: PkiStore): Route[] {
  const writeIssuers = operation({
    summary: 'Set the issuer that signs unless another is named.',
    input: z.object({ default: z.string().optional(), default_follows_latest_issuer: flag().optional() }),
    output: issuersAnswer,
    effect: 'write',
    async run(given) {
      const chosen =
        given.default === undefined ? undefined : (await findIssuer(store, given.default)).issuer;
      const after = await store.changeSetting('issuers', (before) => ({
        default: chosen?.id ?? before.default,
        followsLatest: given.default_follows_latest_issuer ?? before.followsLatest,
      }));
      const keyless = chosen?.keyId === '' ? ['The default issuer has no key here: it cannot sign.'] : [];
      return { data: issuersData(after), warnings: keyless };
    },
  });
  return [
    {
      path: 'config/issuers',
      operations: {
        read: operation({
          summary: 'Read which issuer is the default.',
          input: z.object({}),
          output: issuersAnswer,
          effect: 'none',
          run: async () => ({ data: issuersData(await store.setting('issuers')) }),
        }),
        write: writeIssuers,
      },
    },
    { path: 'root/replace', operations: { write: writeIssuers } },
    {
      path: 'config/keys',
      operations: {
        read: operation({
          summary: 'Read which key is the default.',
          input: z.object({}),
          output: keysAnswer,
          effect: 'none',
          run: async () => ({ data: { default: (await store.setting('keys')).default } }),
        }),
        write: operation({
          summary: 'Set the key that is used unless another is named.',
          input: z.object({ default: z.string() }),
          output: keysAnswer,
          effect: 'write',
          async run(given) {
            const { id } = await findKey(store, given.default);
            await store.changeSetting('keys', () => ({ default: id }));
            return { data: { default: id } };
          },
        }),
      },
    },
    {
      path: 'config/urls',
      operations: {
        read: operation({
          summary: 'Read the addresses that certificates carry.',
          input: z.object({}),
          output: urlsAnswer,
          effect: 'none',
          run: async () => ({ data: urlsData(await store.setting('urls')) }),
        }),
        write: operation({
          summary: 'Set the addresses that certificates carry; those left out stay.',
          input: z.object({
            issuing_certificates: commaList().optional(),
            crl_distribution_points: commaList().optional(),
            delta_crl_distribution_points: commaList().optional(),
            ocsp_servers: commaList().optional(),
            enable_templating: flag().optional(),
          }),
          output: urlsAnswer,
          effect: 'write',
          async run(given) {
            const after = await store.changeSetting('urls', (before) => ({
              issuing: checkedUrls(given.issuing_certificates ?? before.issuing),
              crl: checkedUrls(given.crl_distribution_points ?? before.crl),
              delta: checkedUrls(given.delta_crl_distribution_points ?? before.delta),
              ocsp: checkedUrls(given.ocsp_servers ?? before.ocsp),
              templating: given.enable_templating ?? before.templating,
            }));
            return { data: urlsData(after) };
          },
        }),
      },
    },
    {
      path: 'config/crl',
      operations: {
        read: operation({
          summary: 'Read how revocation is told.',
          input: z.object({}),
          output: crlAnswer,
          effect: 'none',
          run: async () => ({ data: crlData(await store.setting('crl')) }),
        }),
        write: operation({
          summary: 'Set how long revocation lists hold and when they are made; what is left out stays.',
          input: z.object({
            expiry: duration().optional(),
            disable: flag().optional(),
            ocsp_disable: flag().optional(),
            ocsp_expiry: duration().optional(),
            auto_rebuild: flag().optional(),
            auto_rebuild_grace_period: duration().optional(),
            enable_delta: flag().optional(),
            delta_rebuild_interval: duration().optional(),
          }),
          output: crlAnswer,
          effect: 'write',
          async run(given) {
            const after = await store.changeSetting('crl', (before) =>
              checkedCrl({
                expiry: given.expiry ?? before.expiry,
                disable: given.disable ?? before.disable,
                ocspDisable: given.ocsp_disable ?? before.ocspDisable,
                ocspExpiry: given.ocsp_expiry ?? before.ocspExpiry,
                autoRebuild: given.auto_rebuild ?? before.autoRebuild,
                grace: given.auto_rebuild_grace_period ?? before.grace,
                enableDelta: given.enable_delta ?? before.enableDelta,
                deltaInterval: given.delta_rebuild_interval ?? before.deltaInterval,
              }),
            );
            await refreshLists(store, 'full');
            return { data: crlData(after) };
          },
        }),
      },
    },
    {
      path: 'config/cluster',
      operations: {
        read: operation({
          summary: 'Read under which address this mount is reached.',
          input: z.object({}),
          output: clusterAnswer,
          effect: 'none',
          run: async () => ({ data: clusterData(await store.setting('cluster')) }),
        }),
        write: operation({
          summary: 'Set under which address this mount is reached; templates of addresses fill it in.',
          input: z.object({ path: z.string().optional(), aia_path: z.string().optional() }),
          output: clusterAnswer,
          effect: 'write',
          async run(given) {
            checkedUrls(
              [given.path, given.aia_path].filter((url) => url !== undefined && url !== '') as string[],
            );
            const after = await store.changeSetting('cluster', (before) => ({
              path: given.path ?? before.path,
              aiaPath: given.aia_path ?? before.aiaPath,
            }));
            return { data: clusterData(after) };
          },
        }),
      },
    },
  ];
}

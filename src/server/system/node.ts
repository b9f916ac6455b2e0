/** What a node tells of itself: host-info, version-history, config/state/sanitized, in-flight-req, ha-status, step-down. */

import { arch, cpus, freemem, hostname, loadavg, platform, release, totalmem, uptime } from 'node:os';
import { z } from 'zod';
import { seconds } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import { operation, type Route } from '../../plugin/plugin.ts';
import { type ClusterMember, type Platform, services } from '../core/core.ts';
import { timestamp } from '../core/envelope.ts';
import { exchangeOf } from '../core/exchange.ts';

const none = z.object({});

/** What needs more nodes than there are. */
export const OTHERS = operation({
  summary: 'Changes the nodes of a cluster; here there is one.',
  input: z.looseObject({}),
  output: z.undefined(),
  effect: 'none',
  async run() {
    throw failure('request.invalid', { reason: 'raft storage is not in use' });
  },
});

/** A node, in the fields of upstream. */
const memberText = (member: ClusterMember) => ({
  hostname: member.hostname,
  api_address: member.apiAddress,
  cluster_address: member.clusterAddress,
  active_node: member.active,
  last_echo: member.lastEcho === undefined ? null : timestamp(member.lastEcho),
  version: member.version,
});

export function nodeRoutes({ core, seal, version, startedAt, node, ha }: Platform): Route[] {
  return [
    {
      path: 'host-info',
      access: 'sudo',
      operations: {
        read: operation({
          summary: 'The machine that the server runs on.',
          input: none,
          output: z.object({
            timestamp: z.string(),
            cpu: z.array(z.looseObject({})),
            cpu_times: z.array(z.looseObject({})),
            disk: z.array(z.looseObject({})),
            host: z.looseObject({}),
            memory: z.looseObject({}),
          }),
          effect: 'none',
          async run() {
            const processors = cpus();
            return {
              data: {
                timestamp: timestamp(core.clock.now()),
                cpu: processors.map(({ model, speed }, cpu) => ({
                  cpu,
                  modelName: model,
                  mhz: speed,
                  cores: 1,
                })),
                cpu_times: processors.map(({ times }, cpu) => ({ cpu: `cpu${cpu}`, ...times })),
                disk: [],
                host: {
                  hostname: hostname(),
                  os: platform(),
                  kernelArch: arch(),
                  kernelVersion: release(),
                  uptime: Math.floor(uptime()),
                  load: loadavg(),
                },
                memory: { total: totalmem(), available: freemem(), used: totalmem() - freemem() },
              },
            };
          },
        }),
      },
    },
    {
      path: 'version-history',
      operations: {
        list: operation({
          summary: 'The versions that this server has run as.',
          input: none,
          output: z.object({ keys: z.array(z.string()), key_info: z.record(z.string(), z.looseObject({})) }),
          effect: 'none',
          async run() {
            services(core);
            const info = {
              build_date: null,
              previous_version: null,
              timestamp_installed: timestamp(startedAt),
            };
            return { data: { keys: [version], key_info: { [version]: info } } };
          },
        }),
      },
    },
    {
      path: 'config/state/sanitized',
      access: 'sudo',
      operations: {
        read: operation({
          summary: 'How the server is configured, without anything secret.',
          input: none,
          output: z.looseObject({}),
          effect: 'none',
          async run() {
            const { storage, type } = await seal.status();
            return {
              data: {
                api_addr: node.apiAddress(),
                cluster_addr: node.clusterAddress,
                cluster_name: 'holdfast',
                default_lease_ttl: seconds(node.defaultTtlMs),
                max_lease_ttl: seconds(node.maxTtlMs),
                disable_mlock: true,
                listeners: node.listeners.map(({ address, tlsDisabled }) => ({
                  type: 'tcp',
                  config: { address, tls_disable: tlsDisabled },
                })),
                log_level: node.logLevel,
                seals: [{ type, disabled: false }],
                storage: { type: storage, cluster_addr: '', redirect_addr: '', disable_clustering: true },
              },
            };
          },
        }),
      },
    },
    {
      path: 'in-flight-req',
      access: 'sudo',
      operations: {
        read: operation({
          summary: 'The requests that are being answered now, by id.',
          input: none,
          output: z.record(
            z.string(),
            z.object({
              request_path: z.string(),
              request_method: z.string(),
              client_remote_address: z.string(),
              start_time: z.string(),
            }),
          ),
          effect: 'none',
          async run() {
            services(core);
            const { clock } = core;
            // When the clock that never jumps began, as the other one shows it now.
            const start = clock.now() - clock.monotonic();
            return {
              data: Object.fromEntries(
                core.underWay().map(({ id, path, operation: verb, address, began }) => [
                  id,
                  {
                    request_path: `/v1/${path}`,
                    request_method: verb,
                    client_remote_address: address,
                    start_time: timestamp(start + began),
                  },
                ]),
              ),
            };
          },
        }),
      },
    },
    {
      path: 'ha-status',
      operations: {
        read: operation({
          summary: 'The nodes that share the work; on a single server this one.',
          input: none,
          output: z.object({
            nodes: z.array(z.looseObject({ hostname: z.string(), active_node: z.boolean() })),
          }),
          effect: 'none',
          flat: true,
          async run(_input, call) {
            services(core);
            if (ha !== undefined) return { data: { nodes: ha.nodes().map(memberText) } };
            const { host } = call.headers;
            const scheme = node.listeners.some(({ tlsDisabled }) => !tlsDisabled) ? 'https' : 'http';
            // Nobody said how it is reached: this caller did reach it.
            const address = node.apiAddress() || (host === undefined ? '' : `${scheme}://${host}`);
            const self = {
              hostname: hostname(),
              api_address: address,
              cluster_address: node.clusterAddress,
              active_node: true,
              last_echo: null,
              version,
            };
            return { data: { nodes: [self] } };
          },
        }),
      },
    },
    {
      path: 'step-down',
      access: 'sudo',
      operations: {
        write: operation({
          summary: 'Hands the lead to another node; with one node there is nobody to take it.',
          input: none,
          output: z.undefined(),
          effect: 'none',
          async run(_input, call) {
            // After this answer: who steps down answers nothing any more.
            if (ha !== undefined) exchangeOf(call).later(async () => ha.stepDown());
            return {};
          },
        }),
      },
    },
  ];
}

/** `holdfast controller`: its flags, and nothing else; the operator is loaded only when it is wanted. */

import type { Command } from 'commander';
import type { Terminal } from '../../cli/terminal.ts';
import type { ControllerFlags } from './options.ts';

const again = (value: string, all: string[] = []): string[] => [...all, value];

export function declareController(program: Command, terminal: Terminal): void {
  program
    .command('controller')
    .description('Run the operator: it brings secrets of external stores into a Kubernetes cluster')
    .option('--kubeconfig <path>', 'the cluster; by default KUBECONFIG, else the one that this runs in')
    .option('--context <name>', 'a context of the kubeconfig; by default its current one')
    .option('--namespace <name>', 'look after one namespace; by default all')
    .option('--controller-class <name>', 'look after stores of this class and of none; by default "default"')
    .option('--concurrent <number>', 'how many objects are worked on at once; by default 24')
    .option('--enable-leader-election', 'of several replicas one works, and the others wait for it to end')
    .option('--enable-sharding', 'several replicas share the work')
    .option('--shadow', 'write nothing: tell in the log what of each Secret would be otherwise')
    .option(
      '--metrics-addr <host:port>',
      'where Prometheus reads /metrics; by default :8080, "0" for nowhere',
    )
    .option(
      '--live-addr <host:port>',
      'where /healthz and /readyz are answered; by default :8082, "0" for nowhere',
    )
    .option('--loglevel <level>', 'debug, info, warn or error; by default info')
    .option('--store-requeue-interval <duration>', 'how often stores are checked; by default 5m')
    .option(
      '--generator-gc-grace-period <duration>',
      'how long what a generator made stays after it was replaced; by default 2m',
    )
    .option(
      '--egress-allow <to:port>',
      'a name, address or network that stores may reach although it is this machine or its cluster; may be given again',
      again,
    )
    .option(
      '--lend-own-keys',
      "let stores that name no keys use the operator's own: only where the whole cluster is one tenant",
    )
    .option(
      '--push-server <url>',
      'a server whose changes are heard; the operator logs in there and nowhere else; may be given again',
      again,
    )
    .option('--push-mount <path>', 'the auth method that it logs in with there; by default kubernetes')
    .option('--push-role <name>', 'its role there; by default holdfast-operator')
    .option('--push-token-file <path>', 'a token of its service account for these servers')
    .option('--push-ca-file <path>', 'the authorities of these servers, in PEM')
    .option(
      '--webhook-address <host:port>',
      'where the validating webhook is answered over HTTPS; by default nowhere',
    )
    .option(
      '--webhook-cert-dir <path>',
      'a folder with its tls.crt and tls.key; by default it makes its own certificate',
    )
    .option('--enable-extended-metric-labels', 'tell the recommended labels of objects in metrics, too')
    .option(
      '--metrics-max-objects <number>',
      'of how many objects of a kind metrics tell singly; by default 10000',
    )
    .action(async (flags: ControllerFlags) => {
      const { runController } = await import('./run.ts');
      await runController(flags, terminal.env);
    });
}

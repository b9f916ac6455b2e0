/**
 * Who may import whom. The house is drawn in ARCHITECTURE.md; these arrows are its walls.
 * Each room lists all it may import beside itself; anything else is an error.
 */
const rooms = {
  base: [],
  crypto: ['base'],
  aws: ['base'],
  gcp: ['base'],
  azure: ['base'],
  storage: ['base'],
  plugin: ['base', 'storage'],
  engines: ['plugin', 'aws', 'crypto', 'storage', 'base'],
  methods: ['plugin', 'crypto', 'storage', 'base'],
  client: ['base'],
  kube: ['base'],
  template: ['crypto', 'base'],
  provider: ['base'],
  apiserver: ['storage', 'crypto', 'base'],
  csi: ['client', 'kube', 'base'],
  reloader: ['client', 'kube', 'base'],
  cli: ['client', 'kube', 'platform', 'base'],
  operator: ['client', 'kube', 'provider', 'template', 'base'],
};

const inside = (room) => `^src/${room}/`;
const among = (names) => `^src/(${names.join('|')})/`;
const all = ['bin', 'server', 'providers', 'generators', 'platform', ...Object.keys(rooms)];

const wall = (name, from, allowed) => ({
  name: `${name}-imports-only-its-neighbours`,
  severity: 'error',
  from: { path: from, pathNot: '\\.test\\.ts$' },
  to: { path: '^src/', pathNot: allowed.length === 0 ? from : `(${from}|${among(allowed)})` },
});

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    ...Object.entries(rooms).map(([room, allowed]) => wall(room, inside(room), allowed)),
    wall('providers-vault', '^src/providers/vault/', ['provider', 'client', 'base']),
    wall('providers-kubernetes', '^src/providers/kubernetes/', ['provider', 'kube', 'base']),
    wall('providers-webhook', '^src/providers/webhook/', ['provider', 'template', 'base']),
    wall('providers-fake', '^src/providers/fake/', ['provider', 'base']),
    wall('providers-aws', '^src/providers/aws/', ['provider', 'aws', 'base']),
    wall('providers-gcp', '^src/providers/gcp/', ['provider', 'gcp', 'crypto', 'base']),
    wall('providers-azure', '^src/providers/azure/', ['provider', 'azure', 'crypto', 'base']),
    wall('generators', '^src/generators/[^/]+$', ['provider', 'operator/api', 'crypto', 'base']),
    ...Object.entries({
      vault: ['providers/vault', 'client'],
      webhook: ['providers/webhook'],
      aws: ['providers/aws'],
      gcp: ['gcp'],
      azure: ['providers/azure', 'azure'],
    }).map(([kind, more]) =>
      wall(`generators-${kind}`, `^src/generators/${kind}/`, [...more, 'provider', 'operator/api', 'base']),
    ),
    {
      name: 'only-who-asks-aws-knows-its-clients',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: '^src/(aws|engines/aws|providers/aws|generators/aws|server/seal)/|\\.test\\.ts$',
      },
      to: { path: '^src/aws/' },
    },
    ...['gcp', 'azure'].map((cloud) => ({
      name: `only-who-asks-${cloud}-knows-its-identities`,
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: `^src/(${cloud}|providers/${cloud}|(operator/)?generators|server/seal|bin)/|\\.test\\.ts$`,
      },
      to: { path: `^src/${cloud}/` },
    })),
    wall('server-storage-side', '^src/server/(barrier|seal)/', ['storage', 'aws', 'azure', 'crypto', 'base']),
    {
      name: 'server-services-know-nothing-above-them',
      severity: 'error',
      from: { path: '^src/server/(auth|lease|audit|events)/', pathNot: '\\.test\\.ts$' },
      to: {
        path: '^src/',
        pathNot: '^src/(server/(auth|lease|audit|events|barrier)|plugin|storage|crypto|base)/',
      },
    },
    {
      name: 'identity-knows-no-core',
      severity: 'error',
      from: { path: '^src/server/identity/', pathNot: '\\.test\\.ts$' },
      to: {
        path: '^src/',
        pathNot: '^src/(server/(identity|auth|lease|audit|events|barrier)|plugin|storage|crypto|base)/',
      },
    },
    {
      name: 'server-core-knows-no-wire',
      severity: 'error',
      from: { path: '^src/server/(core|system)/', pathNot: '\\.test\\.ts$' },
      to: {
        path: '^src/',
        pathNot:
          '^src/(server/(core|system|identity|auth|lease|audit|seal|barrier|events|snapshot|backup|metrics)|plugin|storage|crypto|base)/',
      },
    },
    {
      name: 'a-follower-knows-no-wire',
      severity: 'error',
      from: { path: '^src/server/follow/', pathNot: '\\.test\\.ts$' },
      to: { path: '(^(node:)?(http|https|net|tls|http2)$|^src/server/((http|cluster|system)/|[^/]+\\.ts$))' },
    },
    {
      name: 'core-does-not-know-its-routes',
      severity: 'error',
      from: { path: '^src/server/core/', pathNot: '\\.test\\.ts$' },
      to: { path: '^src/server/system/' },
    },
    {
      name: 'platform-imports-only-its-neighbours',
      severity: 'error',
      from: { path: inside('platform'), pathNot: '\\.test\\.ts$' },
      to: {
        path: '^src/',
        pathNot: '^src/(platform|client|kube|operator|server/auth|template|provider|base)/',
      },
    },
    {
      name: 'only-bin-wires',
      severity: 'error',
      from: { path: '^src/', pathNot: '(^src/bin/|\\.test\\.ts$)' },
      to: { path: '^src/bin/' },
    },
    {
      name: 'plans-and-templates-have-no-io',
      severity: 'error',
      from: { path: '(^src/template/|/plan\\.ts$|/rules/)', pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(crypto|buffer)$' },
    },
    {
      name: 'the-wire-belongs-to-http',
      severity: 'error',
      from: {
        path: '^src/(engines|methods|plugin|server/(core|system|identity|auth|lease|audit|barrier|seal|events))/',
        pathNot: '\\.test\\.ts$',
      },
      to: { path: '^(node:)?(http|https|net|tls|http2)$' },
    },
    {
      name: 'every-room-is-known',
      severity: 'error',
      from: { path: '^src/([^/]+)/', pathNot: among(all) },
      to: {},
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { conditionNames: ['import', 'node', 'default'], exportsFields: ['exports'] },
  },
};

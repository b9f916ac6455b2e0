/** The first document: the secrets of the platform, given or random, written key by key. */

import { asAccount } from './demoaccounts.ts';
import type { Step } from './script.ts';

/** PATH KEY VALUE ENCODING HASHING: the matrix of the document, an empty value being a random one. */
const MATRIX: readonly (readonly [
  line: number,
  path: string,
  key: string,
  value: string,
  encoding: string,
  hashing: string,
])[] = [
  [272, 'secret/argocd/admin', 'admin.password', 'argo', 'base64', 'bcrypt'],
  [279, 'secret/grafana/admin', 'admin-password', 'graf', 'base64', 'none'],
  [286, 'secret/sonarqube/admin', 'password', 'Sonar-Secret-123', 'base64', 'none'],
  [293, 'secret/sonarqube/monitoring', 'passcode', '', 'hex', 'none'],
  [300, 'secret/docker/registry', 'registry', 'docker.io', 'base64', 'none'],
  [305, 'secret/docker/registry', 'username', 'user', 'base64', 'none'],
  [310, 'secret/docker/registry', 'password', 'pass', 'base64', 'none'],
  [317, 'secret/backstage/app', 'backendSecret', '', 'base64', 'none'],
  [322, 'secret/backstage/app', 'dexClientSecret', 'backstage-demo-secret', 'base64', 'none'],
  [327, 'secret/backstage/postgres', 'adminPassword', '', 'base64', 'none'],
  [332, 'secret/backstage/postgres', 'appPassword', '', 'base64', 'none'],
];

const seeded = MATRIX.map(
  ([line, path, key, value, encoding, hashing]): Step => ({
    line,
    original: path,
    run: `seed ${path} ${key} '${value}' ${encoding} ${hashing}`,
    after: [
      {
        seen: 'the value is there',
        run: `vault kv get -field=${key} ${path}`,
        says:
          hashing === 'bcrypt'
            ? /^\$2[aby]\$10\$[./A-Za-z0-9]{53}$/
            : value !== ''
              ? new RegExp(`^${value.replace(/[.]/g, '\\.')}$`)
              : encoding === 'hex'
                ? /^[0-9a-f]{64}$/
                : /^[A-Za-z0-9+/]{43}=$/,
      },
    ],
  }),
);

export const seedingSteps: readonly Step[] = [
  {
    line: 229,
    original: 'vault write -field=random_bytes "sys/tools/random/32" "format=base64"',
    run: 'vault write -field=random_bytes "sys/tools/random/32" "format=base64"',
    says: /^[A-Za-z0-9+/]{43}=$/,
  },
  {
    line: 238,
    original: 'htpasswd -nbBC 10 admin "$password"',
    mended: {
      was: 'Puts the password into the arguments of a program, where each user of the machine reads it; `-i` takes it from standard input.',
    },
    run: 'printf %s argo | htpasswd -niBC 10 admin | cut -d: -f2',
    says: /^\$2y\$10\$[./A-Za-z0-9]{53}$/,
  },
  {
    line: [249, 252],
    original: 'vault kv patch secret/docker/registry',
    mended: {
      was: 'Puts where the patch failed, whatever it failed for: after a refusal or a lost connection the put takes all other keys of the secret away. `-cas=0` puts only where nothing is yet.',
      shown: {
        seen: 'a put over a secret takes its other keys away',
        run: `trap 'vault kv metadata delete secret/shown >/dev/null' EXIT
vault kv put secret/shown a=1 b=2 >/dev/null
vault kv put secret/shown a=3 >/dev/null
vault kv get -field=b secret/shown`,
        code: 1,
      },
    },
    run: `vault kv patch secret/docker/registry "username=myuser" ||
  vault kv put -cas=0 secret/docker/registry "username=myuser"`,
    after: [
      {
        seen: 'a put with -cas=0 takes nothing away',
        run: 'vault kv put -cas=0 secret/docker/registry "username=other"',
        code: 2,
      },
      {
        seen: 'it stands as it was written first',
        run: 'vault kv get -field=username secret/docker/registry',
        says: /^myuser$/,
      },
    ],
  },
  {
    line: 215,
    original: './vault-generate.sh <vault-path> <key-name>',
    missing: true,
    mended: {
      was: 'Names the script that seeds and does not print it. This one does the same, and its values are in no arguments and cannot be taken for the name of a file, as one that begins with @ would be.',
    },
    run: `seed() {
  local path=$1 key=$2 value=$3 encoding=$4 hashing=$5
  if [ -z "$value" ]; then
    value=$(vault write -field=random_bytes sys/tools/random/32 "format=$encoding")
  fi
  if [ "$hashing" = bcrypt ]; then
    value=$(printf %s "$value" | htpasswd -niBC 10 admin | cut -d: -f2)
  fi
  printf %s "$value" | vault kv patch "$path" "$key=-" >/dev/null ||
    printf %s "$value" | vault kv put -cas=0 "$path" "$key=-" >/dev/null
}`,
  },
  ...seeded,
  {
    line: 255,
    original: 'Permite múltiples keys',
    run: 'vault kv get -format=json secret/docker/registry | jq -cS ".data.data"',
    says: /^\{"password":"pass","registry":"docker\.io","username":"user"\}$/,
    after: [
      {
        seen: 'the account of cicd reads it',
        run: asAccount(
          'eso-cicd-role',
          'cicd',
          'vault kv get -format=json secret/docker/registry | jq -r .data.data.password',
        ),
        says: /^pass$/,
      },
      {
        seen: 'and writes nothing',
        run: asAccount('eso-cicd-role', 'cicd', 'vault kv put secret/docker/registry password=x'),
        code: 2,
      },
    ],
  },
];

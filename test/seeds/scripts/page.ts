/** docs/seeds.md: what was wrong in the documents, and their commands as they run. */

import { linesText, mistakesOf, type Script, type Step } from './script.ts';

const HEAD = `# The commands of three documents, mended

Three descriptions of a Vault with the External Secrets Operator were among those that this project began with. People type their
commands; here they stand in the order in which they run, with what was wrong put right. \`test/real/seeds.test.ts\` types each of
them, with \`holdfast\` and with \`vault\` or \`bao\` in the place of \`vault\`, and looks at what it did; the mistakes marked with * are
shown there too, by running the command as it was.

- \`vault\` is \`holdfast\`, \`vault\` or \`bao\`. What the documents run with \`kubectl exec ... vault-0 -- vault ...\` is the same command, run
  where the server can be reached; VAULT_ADDR says where that is.
- The server starts with the configuration shown, and an \`egress\` stanza with the addresses of the clusters and databases
  ([server.md](server.md)).
- Beside \`vault\` and \`kubectl\` it takes bash, jq and curl, in places openssl, psql and htpasswd.

This page is made of test/seeds/scripts: \`npx vitest run test/seeds/scripts -u\` writes it anew.
`;

/** The whole page. */
export const page = (scripts: readonly Script[]): string => [HEAD, ...scripts.map(section)].join('\n');

function section(script: Script): string {
  const shown = new Set(
    script.steps.flatMap(({ line, mended }) =>
      mended?.shown === undefined ? [] : [`${linesText(line)} ${mended.was}`],
    ),
  );
  const mistakes = mistakesOf(script).map(
    ({ line, was }) => `| ${line}${shown.has(`${line} ${was}`) ? ' *' : ''} | ${cell(was)} |`,
  );
  const passedOver = script.steps.flatMap((step) =>
    'elsewhere' in step ? [`- ${linesText(step.line)}: ${step.elsewhere}.`] : [],
  );
  return [
    `## ${script.title}`,
    '',
    `\`${script.document}\``,
    '',
    '| line | what the document does |',
    '|---|---|',
    ...mistakes,
    '',
    'The configuration of the server:',
    '',
    '```hcl',
    script.config.text.trimEnd(),
    '```',
    '',
    'The commands:',
    '',
    '```sh',
    script.steps
      .map(commandOf)
      .filter((text) => text !== '')
      .join('\n\n'),
    '```',
    '',
    'Not run here, by their lines:',
    '',
    ...passedOver,
    '',
  ].join('\n');
}

function commandOf(step: Step): string {
  if ('elsewhere' in step) return '';
  const mark = 'missing' in step ? ', missing there' : step.mended === undefined ? '' : ', mended';
  return `# line ${linesText(step.line)}${mark}\n${step.run.trim()}`;
}

/** A bar would end the cell. */
const cell = (text: string): string => text.replaceAll('|', '\\|');

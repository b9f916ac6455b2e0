'use strict';
/*
 * The first code that runs in a fresh clone. It names the Node it needs before anything newer than ES5 is parsed,
 * installs what the lockfile names and builds the bundle, each only when its inputs changed.
 * Called by `npm start`, `npm test` and ./holdfast; a pre-script would be skipped silently under `ignore-scripts=true`.
 */
var need = [20, 19];
var have = process.versions.node.split('.').map(Number);
if (have[0] < need[0] || (have[0] === need[0] && have[1] < need[1])) {
  process.stderr.write(
    'holdfast needs Node ' +
      need.join('.') +
      ' or newer; this is Node ' +
      process.versions.node +
      ' (' +
      process.execPath +
      ').\n' +
      'Install a current LTS release of Node.js and run the same command again.\n',
  );
  process.exit(1);
}
require('./prepare.cjs').main(process.argv.slice(2));

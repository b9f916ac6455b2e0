'use strict';

// Installs and builds when, and only when, the lockfile or the sources changed since the last time.

const { spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const stampOf = (name) => path.join(root, 'node_modules', `.holdfast-${name}`);

function digest(files) {
  const hash = createHash('sha256').update(process.version);
  for (const file of files)
    hash.update(path.relative(root, file)).update('\0').update(fs.readFileSync(file)).update('\0');
  return hash.digest('hex');
}

function filesUnder(folder) {
  return fs
    .readdirSync(folder, { withFileTypes: true })
    .flatMap((e) => (e.isDirectory() ? filesUnder(path.join(folder, e.name)) : [path.join(folder, e.name)]))
    .filter((file) => !file.endsWith('.test.ts'))
    .sort();
}

function once(name, inputs, present, work) {
  const wanted = digest(inputs);
  const stamp = stampOf(name);
  if (present() && fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === wanted) return;
  work();
  fs.writeFileSync(stamp, wanted);
}

function run(command, args) {
  const done = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (done.error) fail(`cannot start ${command}: ${done.error.message}`);
  if (done.status !== 0) fail(`${command} ${args.join(' ')} failed`);
}

function fail(message) {
  process.stderr.write(`holdfast: ${message}\n`);
  process.exit(1);
}

function install() {
  const inputs = [path.join(root, 'package.json'), path.join(root, 'package-lock.json')];
  once(
    'installed',
    inputs,
    () => fs.existsSync(path.join(root, 'node_modules', 'esbuild')),
    () => {
      process.stderr.write('holdfast: installing packages (once) ...\n');
      run('npm', ['ci', '--ignore-scripts', '--no-fund', '--no-audit', '--loglevel=error']);
    },
  );
}

const bundle = path.join(root, 'dist', 'holdfast.js');

function build() {
  const inputs = [
    ...filesUnder(path.join(root, 'src')),
    path.join(root, 'tools', 'build.mjs'),
    path.join(root, 'package-lock.json'),
  ];
  once(
    'built',
    inputs,
    () => fs.existsSync(bundle),
    () => {
      process.stderr.write('holdfast: building (once) ...\n');
      run(process.execPath, [path.join(root, 'tools', 'build.mjs')]);
    },
  );
}

function hand(command, args) {
  const done = spawnSync(command, args, { cwd: root, stdio: 'inherit', shell: process.platform === 'win32' });
  process.exit(done.status === null ? 1 : done.status);
}

const bin = (name) => path.join(root, 'node_modules', '.bin', name);

/**
 * `--test [ARGS]` runs the unit suites, `--build` only builds, `--run PROGRAM [ARGS]` runs a program of the project;
 * anything else is a holdfast command, run in this same process so that signals and start-up time stay its own.
 */
exports.main = (argv) => {
  install();
  build();
  const [mode, ...rest] = argv;
  if (mode === '--build') return;
  if (mode === '--test') hand(bin('vitest'), ['run', ...rest]);
  if (mode === '--run') hand(rest[0] === 'node' ? process.execPath : bin(rest[0]), rest.slice(1));
  process.argv = [process.execPath, bundle, ...argv];
  import(require('node:url').pathToFileURL(bundle).href).catch((error) => fail(error.stack));
};

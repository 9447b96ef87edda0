// Bundles each *_test.ts beside this file and runs them all.
//   node run.mjs FOLDER_WITH_NODE_MODULES FOLDER_FOR_BUNDLES
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const [packages, output] = process.argv.slice(2);
const { buildSync } = createRequire(join(resolve(packages), 'package.json'))('esbuild');

const tests = readdirSync(here).filter((name) => name.endsWith('_test.ts'));
buildSync({
  entryPoints: tests.map((name) => join(here, name)),
  bundle: true,
  format: 'esm',
  platform: 'node',
  outdir: output,
  outExtension: { '.js': '.mjs' },
  logLevel: 'warning',
});
const bundles = tests.map((name) => join(output, name.replace(/\.ts$/, '.mjs')));
process.exit(spawnSync(process.execPath, ['--test', ...bundles], { stdio: 'inherit' }).status ?? 1);

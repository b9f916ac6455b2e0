/** Writes what is generated and committed: the CRDs and the page of errors. A test of each says when this has to run. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { codes } from '../src/base/codes.ts';
import { crdYaml } from '../src/operator/api/crds.ts';
import { errorsPage } from './errors-page.ts';

const root = `${process.cwd()}/`;

mkdirSync(`${root}deploy/crds`, { recursive: true });
for (const [name, text] of crdYaml()) writeFileSync(`${root}deploy/crds/${name}`, text);
writeFileSync(`${root}docs/errors.md`, errorsPage(codes));

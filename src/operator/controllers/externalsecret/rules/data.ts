/**
 * The data of a Secret out of what the store answered: `dataFrom` in the order of its list, then `data`, later over
 * earlier. Per entry of dataFrom: rewrite, else convert the keys; check the keys; decode; look for NUL bytes.
 */

import { utf8 } from '../../../../base/bytes.ts';
import { asFailure, type Failure, failure } from '../../../../base/errors.ts';
import { stringify } from '../../../../base/json.ts';
import type { Value } from '../../../../provider/provider.ts';
import type { DataEntry, DataFromEntry, ExternalSecretSpec } from '../../../api/externalsecret.ts';
import type { Answer, FindQuery, Making, Need, Note, StoreName } from '../../../plan.ts';
import { deletionPolicy, type Env, storeId, storeOf } from '../observed.ts';
import { checkKeys, convertKeys, decode, fieldsOf, propertyOf, rewriteKeys, wholeOf } from './shape.ts';

type Data = Map<string, Uint8Array>;
type RemoteRef = DataEntry['remoteRef'];

/** Where in the spec something went wrong. */
export interface Entry {
  readonly field: 'data' | 'dataFrom';
  readonly index: number;
  /** The remote key, or of dataFrom the member: "extract", "find", "sourceRef.generatorRef". */
  readonly detail: string;
}

export type Assembled =
  | { readonly data: ReadonlyMap<string, Uint8Array>; readonly notes: readonly Note[] }
  | { readonly failed: { readonly entry: Entry; readonly cause: Failure } };

/** An entry's error in the words that people search for. */
export const wrapped = ({ field, index, detail }: Entry, cause: string): string =>
  field === 'data'
    ? `error processing spec.data[${index}] (key: ${detail}), err: ${cause}`
    : `error processing spec.dataFrom[${index}].${detail}, err: ${cause}`;

/** Every read that a spec needs, each once: a pair of fields of one secret comes out of one read and so fits together. */
export function needsOf(spec: ExternalSecretSpec): readonly Need[] {
  const needs = [
    ...spec.dataFrom.map((entry) => needOfFrom(spec, entry)),
    ...spec.data.map((entry) => needOfRef(storeOf(spec, entry), entry.remoteRef)),
  ].filter((need) => need !== undefined);
  const once = new Map<string, Need>();
  for (const need of needs) {
    const properties = [...(once.get(need.id)?.properties ?? []), ...(need.properties ?? [])];
    once.set(need.id, properties.length === 0 ? need : { ...need, properties: [...new Set(properties)] });
  }
  return [...once.values()];
}

/** What generators are to make: for each entry anew, also where two name the same generator. */
export const makingsOf = (spec: ExternalSecretSpec): readonly Making[] =>
  spec.dataFrom.flatMap((entry, index) => makingOf(entry, index) ?? []);

function makingOf({ sourceRef }: DataFromEntry, index: number): Making | undefined {
  const generator = sourceRef?.generatorRef;
  return generator === undefined
    ? undefined
    : { id: `dataFrom[${index}] generate`, generator, index: String(index) };
}

function needOfFrom(spec: ExternalSecretSpec, entry: DataFromEntry): Need | undefined {
  const store = storeOf(spec, entry);
  if (entry.extract !== undefined) return needOfRef(store, entry.extract);
  if (entry.find === undefined || store === undefined) return undefined;
  const { path, name, tags } = entry.find;
  const find: FindQuery = {
    ...(path === undefined ? {} : { path }),
    ...(name?.regexp === undefined ? {} : { name: name.regexp }),
    ...(tags === undefined ? {} : { tags }),
  };
  return { id: `${storeId(store)} find ${JSON.stringify([path, name?.regexp, tags])}`, store, ask: { find } };
}

function needOfRef(store: StoreName | undefined, ref: RemoteRef): Need | undefined {
  if (store === undefined) return undefined;
  const at = { key: ref.key, ...(ref.version === '' ? {} : { version: ref.version }) };
  const name = JSON.stringify([ref.key, ref.version]);
  return ref.metadataPolicy === 'Fetch'
    ? { id: `${storeId(store)} metadata ${name}`, store, ask: { metadata: at } }
    : { id: `${storeId(store)} get ${name}`, store, ask: { get: at }, properties: [ref.property] };
}

/** The answer to a need of one entry, out of those to all entries that need the same. */
function answerTo(answers: ReadonlyMap<string, Answer>, need: Need | undefined): Answer | undefined {
  const answer = answers.get(need?.id ?? '');
  if (answer === undefined || !('each' in answer)) return answer;
  return answer.each.get(need?.properties?.[0] ?? '');
}

/** What is still to be looked for in an answer. */
const leftOf = (answer: Answer, property: string): string => ('exact' in answer ? '' : property);

/**
 * The data that the answers make, or the first entry that they cannot make. Never throws. What no generator was asked for
 * yet is left out: they are asked when everything else is there.
 */
export function assemble(
  spec: ExternalSecretSpec,
  answers: ReadonlyMap<string, Answer>,
  env: Env,
): Assembled {
  const data: Data = new Map();
  const notes: Note[] = [];
  const tolerant = deletionPolicy(spec) !== 'Retain';
  /** Gives whether the entry is there; only an absence that the store itself told is one. */
  const present = (answer: Answer | undefined, field: string, key: string): answer is Answer => {
    if (answer === undefined) throw failure('operator.secret_missing');
    if ('failed' in answer) throw answer.failed;
    if (!('missing' in answer)) return true;
    if (!tolerant) throw failure('operator.secret_missing');
    notes.push({
      type: 'Normal',
      reason: 'MissingProviderSecret',
      message: `secret does not exist at provider using spec.${field} (key=${key})`,
    });
    return false;
  };
  let entry: Entry = { field: 'dataFrom', index: 0, detail: 'extract' };
  try {
    for (const [index, from] of spec.dataFrom.entries()) {
      entry = { field: 'dataFrom', index, detail: memberOf(from) };
      const making = makingOf(from, index);
      if (making !== undefined) {
        const answer = answers.get(making.id);
        if (answer !== undefined && 'failed' in answer) throw answer.failed;
        if (answer === undefined || !('generated' in answer)) continue;
        for (const [key, bytes] of fromGenerator(from, answer.generated, env)) data.set(key, bytes);
        continue;
      }
      const answer = answerTo(answers, needOfFrom(spec, from));
      if (!present(answer, `dataFrom[${index}]`, from.extract?.key ?? from.find?.path ?? '')) continue;
      for (const [key, bytes] of fromEntry(from, answer, env)) data.set(key, bytes);
    }
    for (const [index, { secretKey, remoteRef, sourceRef }] of spec.data.entries()) {
      entry = { field: 'data', index, detail: remoteRef.key };
      const answer = answerTo(answers, needOfRef(storeOf(spec, { sourceRef }), remoteRef));
      if (!present(answer, `data[${index}]`, remoteRef.key)) continue;
      const bytes = propertyOf(valueIn(answer), leftOf(answer, remoteRef.property), remoteRef.key);
      data.set(secretKey, decode(bytes, remoteRef.decodingStrategy, remoteRef.nullBytePolicy, secretKey));
    }
  } catch (error) {
    return { failed: { entry, cause: asFailure(error) } };
  }
  return { data, notes };
}

function memberOf({ find, sourceRef }: DataFromEntry): string {
  if (sourceRef?.generatorRef !== undefined) return 'sourceRef.generatorRef';
  return find === undefined ? 'extract' : 'find';
}

/** Names are the generator's own, so none is converted; what it made is no text that anybody encoded. */
const fromGenerator = (from: DataFromEntry, made: ReadonlyMap<string, Uint8Array>, env: Env): Data =>
  checkKeys(from.rewrite.length > 0 ? rewriteKeys(made, from.rewrite, env.renderKey) : made);

function fromEntry(from: DataFromEntry, answer: Answer, env: Env): Data {
  const options = from.extract ?? from.find;
  let data: ReadonlyMap<string, Uint8Array> =
    'found' in answer
      ? new Map(answer.found.map(([key, value]) => [key, wholeOf(value)]))
      : fieldsOf(valueIn(answer), leftOf(answer, from.extract?.property ?? ''), from.extract?.key ?? '');
  data =
    from.rewrite.length > 0
      ? rewriteKeys(data, from.rewrite, env.renderKey)
      : convertKeys(data, options?.conversionStrategy || 'Default');
  return new Map(
    [...checkKeys(data)].map(([key, bytes]) => [
      key,
      decode(bytes, options?.decodingStrategy, options?.nullBytePolicy, key),
    ]),
  );
}

/** Metadata is a JSON object like any other secret; strings among its members are bare, as those of secrets are. */
function valueIn(answer: Answer): Value {
  if ('read' in answer) return answer.read.value;
  if (!('metadata' in answer)) throw failure('operator.secret_missing');
  const { metadata } = answer;
  const members = typeof metadata === 'object' && metadata !== null ? Object.entries(metadata) : [];
  return {
    json: stringify(metadata),
    fields: new Map(
      members.map(([key, member]) => [key, utf8(typeof member === 'string' ? member : stringify(member))]),
    ),
  };
}

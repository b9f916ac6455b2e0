/** IAM policy documents: what a role says, and what the groups say whose rights it borrows. Their meaning is AWS's to judge. */

import type { IAM } from '@aws-sdk/client-iam';
import { failure } from '../../base/errors.ts';
import { Ordered, type OrderedJson, parseOrdered, stringify } from '../../base/json.ts';
import { everyPage, must } from './client.ts';

/** The current language of policies, beside which the one before it is hardly used. */
const VERSION = '2012-10-17';

/** The document without white space. @throws Failure aws.role: the text is not quoted, it can be anything */
export function compactPolicy(text: string): string {
  const document = read(text);
  if (document === undefined)
    throw failure('aws.role', { reason: 'cannot parse policy document: it is not one JSON object' });
  return stringify(document);
}

/**
 * One document of all statements of these; empty where there is none.
 * @throws Failure aws.unavailable: a document that AWS gave, and that is none
 */
export function combinedPolicy(documents: readonly string[]): string {
  const given = documents.filter((text) => text !== '');
  if (given.length === 0) return '';
  const statements = given.flatMap((text): readonly OrderedJson[] => {
    const found = read(text)?.members.get('Statement');
    if (found === undefined)
      throw failure('aws.unavailable', {
        what: 'error reading group policies',
        reason: 'a policy without statements',
      });
    return Array.isArray(found) ? found : [found];
  });
  return stringify({ Version: VERSION, Statement: statements });
}

function read(text: string): Ordered | undefined {
  try {
    const value = parseOrdered(text);
    return value instanceof Ordered ? value : undefined;
  } catch {
    return undefined;
  }
}

export interface Borrowed {
  readonly documents: readonly string[];
  readonly arns: readonly string[];
}

/** The policies of groups, inline and attached. @throws Failure aws.*, dial.* */
export async function policiesOfGroups(iam: IAM, groups: readonly string[]): Promise<Borrowed> {
  const documents: string[] = [];
  const arns: string[] = [];
  for (const GroupName of groups) {
    const attached = await everyPage(
      'error listing attached group policies',
      (marker) => iam.listAttachedGroupPolicies({ GroupName, ...marker }),
      ({ AttachedPolicies }) => AttachedPolicies,
    );
    arns.push(...attached.flatMap(({ PolicyArn }) => PolicyArn ?? []));
    const names = await everyPage(
      'error listing group policies',
      (marker) => iam.listGroupPolicies({ GroupName, ...marker }),
      ({ PolicyNames }) => PolicyNames,
    );
    for (const PolicyName of names) {
      const what = 'error reading group policy';
      const { PolicyDocument } = await must(what, iam.getGroupPolicy({ GroupName, PolicyName }));
      documents.push(unescaped(PolicyDocument ?? ''));
    }
  }
  return { documents, arns };
}

/** IAM gives documents URL-encoded (RFC 3986). */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

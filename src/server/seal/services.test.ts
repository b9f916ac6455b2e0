/** Every kind of seal by the suite of all, over doubles that check what is sent: signatures, tokens, checksums. */

import { awsRig, azureRig, fileRig, googleRig, kubernetesRig } from '../../../test/support/kms/rigs.ts';
import { base64 } from '../../base/bytes.ts';
import { randomKey } from '../../crypto/random.ts';
import { sealConformance } from './conformance.ts';

const secrets = () => ['canary', '111122223333', 'holdfast-test', 'amazonaws', 'azure.net', 'googleapis'];

sealConformance('awskms', () => awsRig(), {
  secrets,
  unable: { rotate: 'KMS rotates a key below its id, and names no version' },
});
sealConformance('awskms', () => awsRig('alias/unseal'), {
  secrets,
  unable: { forge: 'an alias is of any key: that it unwraps again is tried before it counts' },
});
sealConformance('gcpckms', googleRig, { secrets });
sealConformance('azurekeyvault', azureRig, { secrets });
sealConformance('kubernetes', kubernetesRig, {
  secrets,
  unable: { forge: 'a Secret is read by its name, and what it holds is all that it says' },
});

const FILE_UNABLE = {
  rotate: 'a file holds one key: a store is moved by key shares',
  disable: 'a file is there or not',
  forge: 'a file names no key',
};
sealConformance('file', () => fileRig(base64(randomKey(32))), {
  secrets,
  unable: { ...FILE_UNABLE, remove: 'another key in its place is told below' },
});
sealConformance('file', () => fileRig('correct horse battery staple, and more'), {
  secrets,
  unable: { ...FILE_UNABLE, remove: 'another key in its place is told below' },
});

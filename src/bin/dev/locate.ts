import type { Locate } from '../../platform/access.ts';
import { parametersOf } from '../../provider/issuer.ts';
import { dataPath, metadataPath, searchRoot } from '../../providers/vault/path.ts';

/** The folders of engines whose reads and writes issue credentials: "database/creds/app", "pki/issue/web". */
const ISSUING = /^[^/]+(\/[^/]+)*?\/(creds|static-creds|issue|sts|sign)\/[^/]+$/;

/** Where the Vault provider reads and lists, for deriving policies from manifests. */
export const locateKeys: Locate = {
  read: (key, store) => dataPath(store, key),
  issue(key, store) {
    const { path } = parametersOf(key);
    const at = (store.version === 'v1' ? dataPath(store, path) : path).replace(/^\/+|\/+$/g, '');
    return ISSUING.test(at) ? at : undefined;
  },
  list(folder, store) {
    const root = searchRoot(store, folder);
    if (root === undefined) return folder;
    return `${[root.list, root.prefix].filter((part) => part !== '').join('/')}/`;
  },
  write(key, store) {
    const paths = [dataPath(store, key), ...(store.version === 'v2' ? [metadataPath(store, key)] : [])];
    // A key of another kind of store ("/prod/app" of AWS) is no path of this one, and no right.
    return paths.filter((path) => !path.startsWith('/') && !path.includes('//'));
  },
};

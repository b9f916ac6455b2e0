import type { Locate } from '../../platform/access.ts';
import { dataPath, searchRoot } from '../../providers/vault/path.ts';

/** Where the Vault provider reads and lists, for deriving policies from manifests. */
export const locateKeys: Locate = {
  read: (key, store) => dataPath(store, key),
  list(folder, store) {
    const root = searchRoot(store, folder);
    if (root === undefined) return folder;
    return `${[root.list, root.prefix].filter((part) => part !== '').join('/')}/`;
  },
};

/**
 * The closed table of everything that can go wrong: code -> kind, message, hint.
 * The message is what users of the protocol already know (Vault's own words where clients match on them); the hint
 * is the mend. `{name}` is filled in by `Failure` and must never be given secret bytes.
 * `docs/errors.md` is generated from this table and a test holds the two together.
 */

/** What a failure means to the caller; only `server/http` turns it into a status code. */
export type Kind =
  | 'invalid' // the request is wrong
  | 'denied' // the caller may not
  | 'missing' // there is no such thing
  | 'unsupported' // there is such a thing, but not this operation on it
  | 'mediaType' // the body is of a type that this operation does not take
  | 'conflict' // somebody else was there first
  | 'tooLarge' // over a bound that is checked before anything else
  | 'limited' // too many requests
  | 'sealed' // the barrier is sealed
  | 'unavailable' // try again later
  | 'internal'; // our fault

export interface Row {
  readonly kind: Kind;
  readonly message: string;
  readonly hint?: string;
}

export const codes = {
  // base
  'base.internal': {
    kind: 'internal',
    message: 'internal error',
    hint: 'The cause is in the log of the server.',
  },
  'path.empty': {
    kind: 'invalid',
    message: 'the path is empty',
    hint: 'Name a path, such as secret/data/app.',
  },
  'path.too_long': {
    kind: 'invalid',
    message: 'the path is longer than {limit} bytes',
    hint: 'Shorten the path.',
  },
  'path.not_canonical': {
    kind: 'invalid',
    message: 'the path is not canonical: {reason}',
    hint: 'Use plain segments between single slashes: no empty, "." or ".." segment, no control character, no encoded slash.',
  },
  'json.malformed': {
    kind: 'invalid',
    message: 'failed to parse JSON input: {reason}',
    hint: 'Send one JSON value, encoded in UTF-8.',
  },
  'json.too_deep': {
    kind: 'invalid',
    message: 'failed to parse JSON input: nested deeper than {limit} levels',
  },
  'json.too_many': { kind: 'invalid', message: 'failed to parse JSON input: more than {limit} values' },
  'duration.malformed': {
    kind: 'invalid',
    message: 'invalid duration {text}',
    hint: 'Write whole seconds or a Go duration such as 1h30m; "d" stands for days.',
  },

  // storage
  'storage.conflict': {
    kind: 'conflict',
    message: 'the entry {key} was changed by somebody else',
    hint: 'Read it again and retry.',
  },
  'storage.locked': {
    kind: 'unavailable',
    message: 'the data folder {folder} is in use by process {pid}{owner}',
    hint: 'Stop that process, or give this one a data folder of its own.',
  },
  'storage.corrupt': {
    kind: 'internal',
    message: 'the entry {key} does not open: it was changed or lost outside this server',
  },
  'storage.unreadable': {
    kind: 'internal',
    message: 'the medium of the store cannot be read: {reason}',
    hint: 'It is damaged: holdfast storage verify tells how far; docs/backup.md says how it is restored.',
  },
  'storage.closed': { kind: 'unavailable', message: 'the store is closed' },
  'storage.key': {
    kind: 'invalid',
    message: 'the store cannot keep this name: {reason}',
    hint: 'Use a shorter or a plainer path.',
  },
  'storage.unusable': {
    kind: 'unavailable',
    message: 'the data folder {folder} cannot be used: {reason}',
    hint: 'Check that it exists, belongs to this user, has room, and holds a store of this program.',
  },
  'storage.older': {
    kind: 'unavailable',
    message:
      'the store in {folder} is older than what was written there: it ends at revision {found}, and {newest} was acknowledged',
    hint: 'Its file is damaged, or an older copy was put in its place. Restore a verified backup (docs/backup.md). To go on from the older state, and without what was written since, remove {file} from the folder.',
  },
  'storage.write': {
    kind: 'unavailable',
    message: 'the store did not take the write',
    hint: 'Look for a full or failing disk; nothing of the request was kept.',
  },
  'storage.database': {
    kind: 'unavailable',
    message: 'the database of the store cannot be used: {reason}',
    hint: 'Check that it runs, that its connection_url is right, and that nothing cuts the way to it.',
  },
  'storage.fenced': {
    kind: 'unavailable',
    message: 'this node does not lead the store: nothing was kept',
    hint: 'Ask the node that leads.',
  },
  'storage.standby': {
    kind: 'unavailable',
    message: 'this node follows and does not write: nothing was done',
    hint: 'Ask the node that leads.',
  },
  'storage.led': {
    kind: 'unavailable',
    message: 'the store is led by another process: {leader}',
    hint: 'Stop that process, or give this one a database or tables of its own.',
  },
  'storage.unknown': {
    kind: 'unavailable',
    message: 'the database was lost while it wrote, and could not be asked whether it kept the write',
    hint: 'Read the entry again before you retry.',
  },
  'storage.foreign_writer': {
    kind: 'unavailable',
    message: 'another process writes to this store',
    hint: 'Stop the other process, then retry.',
  },

  // cluster
  'cluster.no_leader': {
    kind: 'unavailable',
    message: 'no active Vault instance found',
    hint: 'No node leads at this moment, or this one cannot reach the database or the node that does. Nothing was done: try again.',
  },
  'cluster.unknown': {
    kind: 'unavailable',
    message: 'the node that leads was lost while it answered: whether the request was done is not known',
    hint: 'Read what it would have changed before you repeat it.',
  },
  'cluster.in_use': {
    kind: 'unavailable',
    message: 'the address {address} for the other nodes of the cluster cannot be opened: {reason}',
    hint: 'Give cluster_addr a port that is free on this machine.',
  },

  // barrier and seal
  'barrier.initialized': { kind: 'invalid', message: 'Vault is already initialized' },
  'barrier.wrong_key': { kind: 'invalid', message: 'the root key does not open this store' },
  'seal.config': { kind: 'invalid', message: 'invalid seal configuration: {reason}' },
  'seal.share_length': { kind: 'invalid', message: 'the unseal key must be {expected} bytes long' },
  'seal.wrong_shares': {
    kind: 'invalid',
    message: 'the unseal keys given do not open this store',
    hint: 'Progress was reset. Give all keys again; one of them was wrong or belongs to another store.',
  },
  'seal.unreachable': {
    kind: 'unavailable',
    message: 'the seal "{seal}" does not answer: {reason}',
    hint: 'Nothing is lost: it is asked again. Look after the server that keeps its key, and the way there.',
  },
  'seal.refused': {
    kind: 'unavailable',
    message: 'the seal "{seal}" refuses this server: {reason}',
    hint: 'Check as whom the seal asks, what that identity may do (docs/seal.md has the least for each seal), and the key that the stanza names.',
  },
  'seal.lost_key': {
    kind: 'unavailable',
    message: 'the key of the seal "{seal}" does not open this store: {reason}',
    hint: 'The key was deleted or disabled, its old version was given up, or the file names another key. Nothing is lost while it exists: bring it back.',
  },
  'seal.other_key': {
    kind: 'unavailable',
    message: 'the store was wrapped by {wrapped}, and the configuration names {named}',
    hint: 'Name the key that wrapped it. To move to another one, go by key shares: docs/seal.md.',
  },
  'seal.said': {
    kind: 'unavailable',
    message: 'the service says: {text}',
    hint: 'These are the words of the service that keeps the key of the seal.',
  },
  'seal.one_way': {
    kind: 'unavailable',
    message: 'the seal "{seal}" does not give back what it wrapped: nothing was changed',
    hint: 'With it this server would never open again. Check what answers at its address, and that its key can decrypt.',
  },
  'seal.stranded': {
    kind: 'invalid',
    message: 'cannot seal migrate from "{from}" to {to}, no disabled seal in configuration',
    hint: 'Name the seal that the store is under again; to move away from it, keep its stanza with disabled = "true".',
  },
  'seal.migration_pending': {
    kind: 'invalid',
    message: 'migrate option not provided and seal migration is pending',
    hint: 'Run: holdfast operator unseal -migrate. To stay with the old seal, put the configuration back.',
  },
  'seal.no_migration': {
    kind: 'invalid',
    message: "can't perform a seal migration, no migration seal found",
    hint: 'The store is under the seal of the configuration already: leave out -migrate.',
  },
  'seal.no_recovery': {
    kind: 'invalid',
    message: 'this store has no recovery keys',
    hint: 'It was initialized with none: only its seal opens it, at the start of the server.',
  },

  'ceremony.none': { kind: 'invalid', message: 'no {what} in progress' },
  'ceremony.running': {
    kind: 'invalid',
    message: '{what} already in progress',
    hint: 'Cancel it, or give the shares it waits for.',
  },
  'ceremony.nonce': {
    kind: 'invalid',
    message: 'incorrect nonce supplied; nonce for this {what} operation is "{nonce}"',
  },
  'ceremony.otp': { kind: 'invalid', message: 'otp string is wrong length, expected {expected}' },
  'snapshot.broken': {
    kind: 'invalid',
    message: 'the snapshot cannot be restored: {reason}',
    hint: 'Nothing was changed. Take it from where it was saved again, whole.',
  },
  'snapshot.foreign': {
    kind: 'invalid',
    message:
      'could not verify hash file, possibly the snapshot is using a different set of unseal keys; use the snapshot-force API to bypass this check',
    hint: 'Nothing was changed. After a forced restore the server asks for the unseal keys of the snapshot.',
  },
  'backup.place': {
    kind: 'unavailable',
    message: 'the place of the backups, {place}, cannot be used: {reason}',
    hint: '{mend}',
  },
  'backup.broken': {
    kind: 'invalid',
    message: 'the backup {name} cannot be used: {reason}',
    hint: 'Nothing was changed. Use another one: holdfast backup list.',
  },
  'backup.absent': {
    kind: 'missing',
    message: 'there is no backup {name}',
    hint: 'holdfast backup list tells those that there are.',
  },
  'backup.target': {
    kind: 'missing',
    message: 'no backups are configured{name}',
    hint: 'Write a stanza such as backup "nightly" into the file of the server: docs/backup.md shows one.',
  },
  'backup.running': {
    kind: 'conflict',
    message: 'a backup of "{target}" is being made or verified',
    hint: 'holdfast backup list tells when it is done.',
  },
  'backup.unverified': {
    kind: 'internal',
    message: 'the backup {name} was made and is not whole: {reason}',
    hint: 'Run holdfast storage verify: what is damaged in the store is damaged in its backup.',
  },
  'backup.foreign': {
    kind: 'invalid',
    message: 'the backup {name} was made by a server with other keys',
    hint: 'Nothing was changed. Give -force, and the unseal keys of that server as they were on that day.',
  },
  'backup.occupied': {
    kind: 'conflict',
    message: 'there is a store in {into} already',
    hint: 'Nothing was changed. Give -force to put the backup in its place; the file of an embedded store is kept beside it.',
  },
  'backup.keys': {
    kind: 'invalid',
    message: 'the keys given do not open the backup {name}',
    hint: 'It takes the unseal keys of the day on which it was made, as many as were needed then ({t}).',
  },
  'snapshot.too_large': { kind: 'tooLarge', message: 'the snapshot is larger than {limit} bytes' },
  'quota.exceeded': { kind: 'limited', message: 'request path "{path}": rate limit quota exceeded' },
  'password.policy': { kind: 'invalid', message: 'invalid password policy: {reason}' },
  'password.unknown': { kind: 'missing', message: 'password policy "{name}" not found' },

  // requests
  'request.invalid': { kind: 'invalid', message: '{reason}' },
  'request.denied': { kind: 'denied', message: 'permission denied' },
  'request.too_large': {
    kind: 'tooLarge',
    message: 'request body too large',
    hint: 'A request may be up to {limit} bytes.',
  },
  'request.unsupported': { kind: 'unsupported', message: 'unsupported operation' },
  'request.unsupported_path': { kind: 'missing', message: 'unsupported path' },
  'request.no_handler': { kind: 'missing', message: 'no handler for route "{path}". route entry not found.' },
  'request.patch_type': {
    kind: 'mediaType',
    message: 'PATCH requires Content-Type of application/merge-patch+json, provided {given}',
  },
  'server.sealed': { kind: 'sealed', message: 'Vault is sealed', hint: 'Run: holdfast operator unseal' },
  'server.uninitialized': { kind: 'sealed', message: 'Vault is sealed', hint: 'Run: holdfast operator init' },

  // the way out of the server
  'dial.refused': {
    kind: 'denied',
    message: '{host}:{port} is not on the list of addresses that this server may reach',
    hint: "Add it to the server's own configuration file; where the operator refuses it, to its -egress-allow.",
  },
  'dial.refused_socket': {
    kind: 'denied',
    message: 'the socket {path} is not on the list of addresses that this server may reach',
    hint: 'Add "unix:{path}" to the list in the server\'s own configuration file.',
  },
  'dial.unreachable': { kind: 'unavailable', message: 'cannot reach {host}:{port}: {reason}' },
  'dial.too_large': {
    kind: 'unavailable',
    message: 'the answer of {host}:{port} is larger than {limit} bytes',
  },

  // the programs
  'dev.no_port': {
    kind: 'unavailable',
    message: 'no port from {address} on is free',
    hint: 'Name one with --address or --kube-address.',
  },
  'dev.unknown_kind': {
    kind: 'invalid',
    message: '{file}:{line}: the Kubernetes API here has no {kind}',
    hint: 'Add its CustomResourceDefinition to the manifests, or move the file out of the folder.',
  },
  'dev.apply': { kind: 'invalid', message: '{file}:{line}: {object} was refused: {reason}' },
  'dev.demo_values': {
    kind: 'invalid',
    message: 'config.toml holds known values, and {address} can be reached from other machines',
    hint: 'Listen on 127.0.0.1, or draw every value at random with --random-values.',
  },
  'dev.no_keys': {
    kind: 'invalid',
    message: 'the data in {folder} is sealed, and its key file is missing',
    hint: 'Restore keys.json beside it, or start afresh with another --data PATH.',
  },

  // the configuration file of the server
  'config.invalid': { kind: 'invalid', message: '{file}:{line}: {reason}', hint: '{mend}' },
  'config.refused': { kind: 'invalid', message: '{reason}', hint: '{mend}' },
  'config.unreadable': { kind: 'invalid', message: '{file}: {reason}', hint: '{mend}' },

  // the command line
  'cli.usage': { kind: 'invalid', message: '{reason}' },
  'cli.unreadable': {
    kind: 'invalid',
    message: 'cannot read the file {path}',
    hint: 'Is the path right, and may this user read it?',
  },
  'cli.unwritable': {
    kind: 'invalid',
    message: 'cannot write the file {path}',
    hint: 'Is its folder there, may this user write to it, and is there room on the disk?',
  },
  'cli.oidc': { kind: 'unavailable', message: '{reason}', hint: '{mend}' },
  'cli.no_terminal': {
    kind: 'invalid',
    message: 'there is no terminal to ask for the secret on',
    hint: 'Give it as an argument, or "-" to read it from standard input.',
  },
  'cli.no_mount': {
    kind: 'invalid',
    message: 'no secret engine is mounted over {path}',
    hint: 'List them: holdfast secrets list',
  },

  // platform
  'seed.production_value': {
    kind: 'invalid',
    message: '{path} {key}: production mode takes no value from {variable}',
    hint: 'Empty the value, and a random one is made; or seed in demo mode.',
  },
  'seed.constraint': {
    kind: 'invalid',
    message: '{path} {key}: the application would refuse this value: {reason}',
  },
  'seed.too_long': {
    kind: 'invalid',
    message: '{path} {key}: bcrypt reads only {limit} bytes, and the value is longer',
    hint: 'Shorten the value.',
  },
  'seed.contended': {
    kind: 'conflict',
    message: '{path} {key}: others keep creating and deleting this path',
    hint: 'Try again.',
  },
  'platform.unreadable': { kind: 'invalid', message: '{file}: {reason}', hint: 'To mend it: {mend}.' },
  'platform.bad_file': { kind: 'invalid', message: '{file}:{line}: {reason}', hint: 'To mend it: {mend}.' },

  // check: what is wrong with files, found without a server or a cluster
  'check.unreadable': {
    kind: 'invalid',
    message: 'nothing in it was checked: {reason}',
    hint: 'To mend it: {mend}.',
  },
  'check.no_name': {
    kind: 'invalid',
    message: 'this {kind} has no metadata.name',
    hint: 'Name it: the API server refuses what has no name.',
  },
  'check.bad_name': {
    kind: 'invalid',
    message: '{field} "{value}" is no name that Kubernetes takes',
    hint: 'Use small letters, digits and dashes, and begin and end with a letter or a digit.',
  },
  'check.bad_label': {
    kind: 'invalid',
    message: 'the label {name} has the value "{value}", which no label may have',
    hint: 'Use at most 63 letters, digits, dashes, underscores and dots, and begin and end with a letter or a digit.',
  },
  'check.duplicate_object': {
    kind: 'conflict',
    message: '{object} is given again; it stands in {first}, too',
    hint: 'Keep one of the two: whichever is applied last takes the place of the other.',
  },
  'check.unknown_kind': {
    kind: 'invalid',
    message: 'no kind {kind} is known in {apiVersion}{near}',
    hint: 'Correct kind or apiVersion.',
  },
  'check.unknown_version': {
    kind: 'unsupported',
    message: '{kind} is not served as {apiVersion}; it is served as {served}',
    hint: 'Write one of these versions, and see what has changed in its fields.',
  },
  'check.not_served_upstream': {
    kind: 'unsupported',
    message: 'External Secrets has not served {apiVersion} since its release 0.17; Holdfast does',
    hint: 'Write {stored}: the fields are the same.',
  },
  'check.not_upstream': {
    kind: 'unsupported',
    message: 'External Secrets has no kind {kind}; Holdfast has it',
    hint: 'Where these files go to both, use an ExternalSecret with a generator.',
  },
  'check.unknown_field': {
    kind: 'invalid',
    message: '{where} has no field "{field}"{near}',
    hint: 'Correct or remove it: it does nothing, and kubectl refuses it.',
  },
  'check.invalid_field': {
    kind: 'invalid',
    message: '{where} is wrong: {reason}',
    hint: 'Correct it: the API server refuses the object, or its condition says that it cannot be used.',
  },
  'check.store_missing': {
    kind: 'missing',
    message: 'no {kind} "{name}"{where} is among these files{near}',
    hint: 'Add it to what is checked, create it, or correct the reference.',
  },
  'check.store_elsewhere': {
    kind: 'missing',
    message: 'there is no {kind} "{name}"{where}: that name is {found}',
    hint: '{mend}',
  },
  'check.caprovider_namespace': {
    kind: 'invalid',
    message: 'a ClusterSecretStore has to say in which namespace the {kind} "{name}" of its caProvider is',
    hint: 'Add caProvider.namespace.',
  },
  'check.role_missing': {
    kind: 'missing',
    message: 'there is no role "{role}" at auth/{mount}{near}',
    hint: 'Write the role, or correct auth.kubernetes.role: logins are refused.',
  },
  'check.role_unbound': {
    kind: 'denied',
    message:
      'the role "{role}" at auth/{mount} does not let in the service account {account}; it is bound to {bound}',
    hint: 'Bind the role to this account and its namespace, or name one of the bound.',
  },
  'check.role_audience': {
    kind: 'denied',
    message:
      'the role "{role}" at auth/{mount} asks for the audience "{audience}", and the store names {given}',
    hint: 'Write serviceAccountRef.audiences: ["{audience}"].',
  },
  'check.policy_missing': {
    kind: 'missing',
    message: 'the role "{role}" names the policy "{policy}", which is not there{near}',
    hint: 'Write the policy, or correct its name: a login succeeds without it, and each read is refused.',
  },
  'check.not_granted': {
    kind: 'denied',
    message: '{capability} of {path} is not granted to {whom}: {decided}',
    hint: '{mend}',
  },
  'check.list_on_data': {
    kind: 'invalid',
    message: 'the policy "{policy}" grants list on {path}, where no names are listed',
    hint: 'Grant list on {metadata}: a versioned engine keeps its names there.',
  },
  'check.excess_write': {
    kind: 'invalid',
    message: 'the policy "{policy}" grants {capabilities} on {path}, and nothing in these files writes there',
    hint: 'Take them away from the policy of those who only read.',
  },
  'check.mount_missing': {
    kind: 'missing',
    message: 'the store reads from the engine at "{mount}", which is not among these mounts{near}',
    hint: 'Enable it, or correct provider.vault.path.',
  },
  'check.kv_version': {
    kind: 'invalid',
    message: 'the store reads "{mount}" as version {said}, and the engine there is {type}',
    hint: 'Write version: {right}.',
  },
  'check.path_invalid': {
    kind: 'invalid',
    message: 'the key "{key}" leads to no path that a server has: {reason}',
    hint: 'Name plain segments between single slashes.',
  },
  'check.path_missing': {
    kind: 'missing',
    message: 'nothing is stored at {path}{near}',
    hint: 'Store it, or correct remoteRef.key.',
  },
  'check.property_missing': {
    kind: 'missing',
    message: '{path} has no key "{property}"{near}',
    hint: 'Store it, or correct remoteRef.property.',
  },
  'check.engine_key': {
    kind: 'unsupported',
    message:
      'External Secrets reads {path} here, and never the engine at {engine}; Holdfast does where nothing is stored there',
    hint: 'Where these files go to both, use dataFrom with a generatorRef to a VaultDynamicSecret.',
  },
  'check.engine_parameters': {
    kind: 'invalid',
    message: '{path} issues a certificate, and no common name is given for it',
    hint: 'Write the key as {path}?common_name=NAME, or use a VaultDynamicSecret with parameters.',
  },
  'check.template_key': {
    kind: 'missing',
    message: 'the template reads "{key}", and nothing gives it{near}',
    hint: '{mend}',
  },
  'check.source_missing': {
    kind: 'missing',
    message: 'no {kind} {name}, which the template reads, is among these files',
    hint: 'Add it to what is checked, create it, or correct templateFrom.',
  },
  'check.type_keys': {
    kind: 'invalid',
    message: 'a Secret of the type {type} has to have the key "{key}", and this one has: {keys}',
    hint: 'Give it that key, or another type: the API server refuses it.',
  },
  'check.shared_target': {
    kind: 'conflict',
    message: 'the Secret {secret} is the target of {other}, too, and only one can own it',
    hint: 'Give them targets of their own, or creationPolicy: Merge to one of them.',
  },
  'check.secret_missing': {
    kind: 'missing',
    message: 'nothing in these files makes the Secret {secret}, which {user}{near}',
    hint: 'Make it, or correct the name.',
  },
  'check.secret_key_missing': {
    kind: 'missing',
    message: 'the Secret {secret}, which {maker} makes, has no key "{key}"{near}',
    hint: 'Correct the key, or make it.',
  },
  'check.class_missing': {
    kind: 'missing',
    message: 'no SecretProviderClass {name}, which {user}, is among these files',
    hint: 'Add it to what is checked, create it, or correct the name.',
  },
  'check.workload_invalid': {
    kind: 'invalid',
    message: '{where}: {reason}',
    hint: 'Correct it: the API server refuses the object.',
  },

  // client: what a Vault server answered, or why there was no answer
  'api.denied': { kind: 'denied', message: '{request}: {errors}' },
  'api.missing': { kind: 'missing', message: '{request}: {errors}' },
  'api.invalid': { kind: 'invalid', message: '{request}: {errors}' },
  'api.unsupported': { kind: 'unsupported', message: '{request}: {errors}' },
  'api.conflict': { kind: 'conflict', message: '{request}: {errors}', hint: 'Read it again and retry.' },
  'api.too_large': { kind: 'tooLarge', message: '{request}: {errors}' },
  'api.sealed': {
    kind: 'sealed',
    message: '{request}: {errors}',
    hint: 'Unseal the server: holdfast operator unseal',
  },
  'api.limited': { kind: 'limited', message: '{request}: {errors}' },
  'api.unavailable': { kind: 'unavailable', message: '{request}: {errors}' },
  'api.internal': { kind: 'unavailable', message: '{request}: {errors}' },
  'api.unreachable': {
    kind: 'unavailable',
    message: 'cannot reach {address}: {reason}',
    hint: 'Is the address right, and does the server run there?',
  },
  'api.untrusted': {
    kind: 'unavailable',
    message: 'cannot reach {address}: TLS: {reason}',
    hint: 'Give the authority that signed its certificate (VAULT_CACERT, or caBundle in a store).',
  },
  'api.garbage': {
    kind: 'unavailable',
    message: '{address} does not answer as a Vault server does: {reason}',
  },
  'api.redirected': {
    kind: 'unavailable',
    message: '{address} redirects to {target}, which is not followed',
    hint: 'Give the address of that server instead: a token is never carried to a host that an answer named.',
  },
  'api.address': { kind: 'invalid', message: 'the server address is not usable: {reason}' },
  'api.stream_ended': { kind: 'unavailable', message: 'the event stream of {address} ended: {reason}' },

  // kube: what a Kubernetes API server answered
  'kube.conflict': { kind: 'conflict', message: '{request}: {reason}', hint: 'Read it again and retry.' },
  'kube.exists': { kind: 'conflict', message: '{request}: {reason}' },
  'kube.missing': { kind: 'missing', message: '{request}: {reason}' },
  'kube.denied': {
    kind: 'denied',
    message: '{request}: {reason}',
    hint: 'Check the RBAC rules of this identity.',
  },
  'kube.invalid': { kind: 'invalid', message: '{request}: {reason}' },
  'kube.limited': { kind: 'limited', message: '{request}: {reason}' },
  'kube.unavailable': { kind: 'unavailable', message: '{request}: {reason}' },
  'kube.gone': { kind: 'missing', message: '{request}: the server no longer holds that version' },
  'kube.unreachable': {
    kind: 'unavailable',
    message: 'cannot reach the Kubernetes API at {address}: {reason}',
  },
  'kube.garbage': {
    kind: 'unavailable',
    message: '{address} does not answer as a Kubernetes API does: {reason}',
  },
  'kube.config': { kind: 'invalid', message: 'the Kubernetes client configuration is not usable: {reason}' },
  'kube.selector': { kind: 'invalid', message: 'invalid selector: {reason}' },

  // policies, audit, events
  'hcl.malformed': {
    kind: 'invalid',
    message: 'line {line}, column {column}: {reason}',
    hint: 'To mend it: {mend}.',
  },
  'hcl.too_large': { kind: 'invalid', message: 'the text is longer than {limit} bytes', hint: 'Split it.' },
  'policy.malformed': {
    kind: 'invalid',
    // The mend is in the message: it is all that clients of other makers show, and a refused policy is common.
    message: 'failed to parse policy: {reason}. To mend it: {mend}.',
  },
  'audit.failed': {
    kind: 'internal',
    message: '1 error occurred:\n\t* internal error\n\n',
    hint: 'No audit device took the line: nothing was told, but a write may have been done. The cause is in the log of the server.',
  },
  'audit.in_use': { kind: 'invalid', message: 'path already in use' },
  'audit.missing': { kind: 'invalid', message: 'unknown audit backend: "{path}"' },
  'audit.unknown_type': {
    kind: 'invalid',
    message: 'unknown backend type: {type}',
    hint: 'There are file, socket and syslog.',
  },
  'audit.bad_option': { kind: 'invalid', message: '{reason}' },
  'audit.test_failed': {
    kind: 'invalid',
    message: 'audit backend failed test message: {reason}',
    hint: 'Nothing was enabled. Let the other end listen first, or write skip_test=true.',
  },

  // server/core
  'mount.in_use': { kind: 'invalid', message: 'path is already in use at {path}' },
  'mount.missing_secret': { kind: 'invalid', message: 'No secret engine mount at {path}' },
  'mount.no_match': { kind: 'invalid', message: 'no matching mount at "{path}"' },
  'mount.missing_auth': { kind: 'invalid', message: 'No auth engine at {path}' },
  'mount.unknown_type': {
    kind: 'invalid',
    message: 'plugin not found in the catalog: {type}',
    hint: 'Known here: {known}.',
  },
  'mount.fixed': { kind: 'invalid', message: 'cannot mount or unmount {path}' },
  'auth.unsupported_header': { kind: 'invalid', message: 'error parsing {header} header: {reason}' },
  'token.bad': { kind: 'denied', message: 'bad token' },
  'token.missing': { kind: 'invalid', message: 'token not found' },
  'token.invalid_accessor': { kind: 'invalid', message: 'invalid accessor' },
  'token.not_subset': { kind: 'invalid', message: 'child policies must be subset of parent' },
  'token.root_needed': {
    kind: 'invalid',
    message: 'root or sudo privileges required to {action}',
  },
  'token.restricted': { kind: 'invalid', message: 'restricted use token cannot generate child tokens' },
  'token.not_renewable': { kind: 'invalid', message: 'lease is not renewable' },
  'token.batch': { kind: 'invalid', message: 'batch tokens cannot {action}' },
  'token.batch_limited': { kind: 'invalid', message: 'batch tokens cannot have "{field}" set' },
  'token.batch_too_large': {
    kind: 'invalid',
    message: 'a batch token with these policies and metadata would be longer than {limit} bytes',
    hint: 'Name fewer policies or less metadata, or make a service token.',
  },
  'token.unknown_role': { kind: 'invalid', message: 'unknown role {name}' },
  'token.role_gone': {
    kind: 'invalid',
    message: 'original token role "{name}" could not be found, not renewing',
  },
  'token.exists': { kind: 'invalid', message: 'cannot create a token with a duplicate ID' },
  'wrapping.invalid': {
    kind: 'invalid',
    message: 'wrapping token is not valid or does not exist',
    hint: 'A wrapping token opens once and only within its time; if nobody of yours opened it, treat its content as seen.',
  },
  'preflight.denied': {
    kind: 'denied',
    message:
      'preflight capability check returned 403, please ensure client\'s policies grant access to path "{path}"',
  },
  'policy.root': { kind: 'invalid', message: 'cannot {action} "root" policy' },
  'policy.default': { kind: 'invalid', message: 'cannot delete default policy' },
  'policy.builtin': { kind: 'invalid', message: 'cannot {action} {name} policy' },
  'lease.unknown': { kind: 'invalid', message: 'invalid lease' },
  'lease.not_found': { kind: 'invalid', message: 'lease not found' },
  'lease.waiting': {
    kind: 'unavailable',
    message: 'the lease is due but cannot be taken back yet: {reason}',
    hint: 'Nothing is forgotten: it is tried again until it is done. Mend what the mount reaches out to, or forget the lease with sys/leases/revoke-force.',
  },
  'request.foreign_origin': {
    kind: 'denied',
    message: 'a page of another origin may not call this server',
  },
  'request.foreign_host': {
    kind: 'denied',
    message: 'this server does not answer to that host name',
    hint: 'Add the name to the allowed hosts of the listener.',
  },
  'listener.in_use': {
    kind: 'unavailable',
    message: 'the address {address} is in use',
    hint: 'Stop the program that listens there, or give another address.',
  },

  // template
  'template.parse': {
    kind: 'invalid',
    message: 'template: {name}:{line}:{column}: {reason}',
    hint: 'Mend the template at this line. A key that is not a plain name is read with (index . "api-key").',
  },
  'template.exec': {
    kind: 'invalid',
    message: 'template: {name}:{line}:{column}: executing {template} at <{at}>: {reason}',
    hint: 'Mend the template or the data it reads.',
  },
  'template.fuel': {
    kind: 'tooLarge',
    message: 'template {name} was stopped: it used up its {resource} (limit {limit})',
    hint: 'Look for a loop that does not end, recursion, or text that is repeated very often.',
  },

  // operator
  'operator.spec_invalid': { kind: 'invalid', message: '{reason}' },
  'operator.store_missing': {
    kind: 'missing',
    message: 'could not get {kind} "{name}", there is no such {kind}{where}',
    hint: 'Create the store, or correct spec.secretStoreRef.',
  },
  'operator.store_not_ready': {
    kind: 'unavailable',
    message: '{kind} "{name}" is not ready: {reason}',
    hint: 'Run: kubectl describe on the store; this is tried again the moment it becomes ready.',
  },
  'operator.store_paused': {
    kind: 'unavailable',
    message: '{store} is left alone for a moment, because of how it answered before [{code}]',
    hint: 'It is asked again by itself, within seconds or when it said.',
  },
  'operator.not_held': {
    kind: 'unavailable',
    message: 'this replica no longer holds its Lease, and writes nothing',
    hint: 'Another replica goes on with its work; this one takes part again when it can renew.',
  },
  'operator.shadow': {
    kind: 'unsupported',
    message: 'this operator runs in shadow, and writes nothing',
  },
  'operator.store_denied': {
    kind: 'denied',
    message:
      'using cluster store "{name}" is not allowed from namespace "{namespace}": denied by spec.condition',
    hint: 'Let spec.conditions of the store name the namespace, or one of its labels; or use another store.',
  },
  'operator.unknown_provider': {
    kind: 'unsupported',
    message: 'unknown provider "{name}"; this build has: {known}',
  },
  'operator.provider_count': {
    kind: 'invalid',
    message: 'spec.provider must name exactly one provider, it names {count}',
  },
  'operator.provider_invalid': { kind: 'invalid', message: 'spec.provider.{name} is wrong: {reason}' },
  'operator.cannot_find': {
    kind: 'unsupported',
    message: 'the provider of {store} cannot {ability}',
  },
  'operator.generator_group': {
    kind: 'invalid',
    message: 'unable to get generator: generatorRef may only reference the generators group, but got {group}',
    hint: 'Set generatorRef.apiVersion to generators.external-secrets.io/v1alpha1.',
  },
  'operator.generator_unknown': {
    kind: 'unsupported',
    message:
      'unable to get generator: generatorRef references unknown kind {kind}{near}; this build has: {known}',
  },
  'operator.generator_missing': {
    kind: 'missing',
    message: 'unable to get generator: there is no {kind} "{name}"{where}',
    hint: 'Create the generator, or correct generatorRef.',
  },
  'operator.generator_unmanaged': {
    kind: 'denied',
    message: 'the generator {kind} "{name}" is another operator\'s',
    hint: 'Its spec.controller names another controller class.',
  },
  'operator.generator_invalid': { kind: 'invalid', message: '{generator} is wrong: {reason}' },
  'operator.secret_missing': {
    kind: 'missing',
    message: 'Secret does not exist',
    hint: 'Store it, or correct the key. With deletionPolicy Delete or Merge, what is not there is left out.',
  },
  'operator.ref_namespace': {
    kind: 'denied',
    message:
      'namespace should either be empty or match the namespace of the SecretStore for a namespaced SecretStore',
  },
  'operator.ref_missing': {
    kind: 'missing',
    message: 'could not get {kind} "{name}" in namespace "{namespace}": it does not exist',
  },
  'operator.ref_key': {
    kind: 'missing',
    message: '{kind} "{name}" in namespace "{namespace}" has no key "{key}"{near}',
  },
  'operator.ref_referent': {
    kind: 'invalid',
    message:
      'the reference to {kind} "{name}" names no namespace: it resolves where an ExternalSecret uses the store',
  },
  'operator.source_missing': {
    kind: 'missing',
    message: 'error in {kind} {name}: it does not exist',
    hint: 'Create it in the namespace of the ExternalSecret, or correct its name in target.template.templateFrom.',
  },
  'operator.source_key': {
    kind: 'missing',
    message: 'error in {kind} {name}: missing key {key}{near}',
    hint: 'Write the key there, or correct it in target.template.templateFrom.',
  },
  'operator.source_malformed': {
    kind: 'invalid',
    message: 'error in {where}: the rendered text is not a YAML map of texts',
  },
  'operator.owned': {
    kind: 'conflict',
    message: 'Secret "{name}" is controlled by {owner}',
    hint: 'Choose another spec.target.name.',
  },
  'operator.lease_unreadable': {
    kind: 'conflict',
    message:
      'the Secret "{name}" in namespace "{namespace}" holds no record of a lease that this release reads',
    hint: 'Another release wrote it, or somebody by hand. Let that release run, or revoke what it holds and delete it.',
  },
  'operator.immutable': {
    kind: 'conflict',
    message: 'the data of Secret "{name}" would change, but it is immutable',
    hint: 'Delete the Secret, or set spec.target.immutable to false and recreate it.',
  },
  'operator.not_owner': {
    kind: 'invalid',
    message: 'deletionPolicy=Delete deletes only what creationPolicy=Owner made',
  },
  'operator.blank': {
    kind: 'conflict',
    message: 'every value came back empty; the last good values of Secret "{name}" are kept',
    hint: 'Delete the Secret by hand if this is meant.',
  },
  'operator.mass_delete': {
    kind: 'conflict',
    message:
      'more than {limit} Secrets would be deleted at once because {store} no longer has their sources; stopped',
    hint: 'Check the store; deletion goes on at a few a minute.',
  },
  'operator.cannot_push': { kind: 'unsupported', message: 'the provider of {store} cannot be written to' },
  'operator.store_unmanaged': {
    kind: 'denied',
    message: '{kind} "{name}" is another operator\'s: can not reference unmanaged store',
    hint: 'Its spec.controller names another controller class.',
  },
  'operator.push_key': {
    kind: 'missing',
    message: 'secret key {key} does not exist in {secret}{near}',
    hint: 'Correct match.secretKey, or let the Secret or the template have that key.',
  },
  'operator.push_twice': {
    kind: 'conflict',
    message:
      'duplicate remote key "{key}"{property}: source keys {one} and {other} both map to the same destination',
  },
  'operator.push_bytes': {
    kind: 'invalid',
    message: 'the value of {key} is not UTF-8, and the store keeps a whole Secret as JSON, which is text',
    hint: 'Push that key by itself to a store that keeps bytes, or encode it in a template: b64enc.',
  },

  // engines
  'kv.no_data': {
    kind: 'invalid',
    message: 'no data provided',
    hint: 'Send an object with the member "data": a versioned secret wraps its keys in it.',
  },
  'kv.data_not_object': { kind: 'invalid', message: 'data must be an object of keys and values' },
  'kv.missing_fields': { kind: 'invalid', message: 'missing data fields' },
  'kv.cas_required': {
    kind: 'invalid',
    message: 'check-and-set parameter required for this call',
    hint: 'Send options.cas with the version that you read, or 0 if the secret must not exist yet.',
  },
  'kv.cas_mismatch': {
    kind: 'invalid',
    message: 'check-and-set parameter did not match the current version',
    hint: 'Somebody else wrote in between: read the secret again and retry with its version.',
  },
  'kv.no_versions': { kind: 'invalid', message: 'No version number provided' },
  'kv.no_versions_to_destroy': { kind: 'invalid', message: 'no version number provided' },
  'kv.custom_metadata': { kind: 'invalid', message: 'custom_metadata validation failed: {reason}' },
  'kv.folder': {
    kind: 'invalid',
    message: "cannot write to a path ending in '/'",
    hint: 'A trailing slash names a folder; leave it out to name a secret.',
  },
  'kv.too_large': {
    kind: 'tooLarge',
    message: 'the secret is larger than {limit} bytes',
    hint: 'Split it over several paths, or keep large files elsewhere and their key here.',
  },
  'kv.nothing_to_patch': {
    kind: 'missing',
    message: 'there is no secret at this path to patch',
    hint: 'A patch changes what is there: write the secret first, with POST or PUT.',
  },
  'kv.busy': { kind: 'unavailable', message: 'too many writers at once on this secret', hint: 'Try again.' },

  // transit
  'transit.name': {
    kind: 'invalid',
    message: 'invalid key name',
    hint: 'Letters, digits, "_", "-" and "."; the first and the last one a letter, a digit or "_".',
  },
  'transit.no_encryption_key': {
    kind: 'invalid',
    message: 'encryption key not found',
    hint: 'Create it: holdfast write -f transit/keys/NAME',
  },
  'transit.no_signing_key': { kind: 'invalid', message: 'signing key not found' },
  'transit.no_verification_key': { kind: 'invalid', message: 'signature verification key not found' },
  'transit.no_key': { kind: 'invalid', message: 'no existing key named {name} could be found' },
  'transit.key': { kind: 'invalid', message: '{reason}' },
  'transit.unsupported': {
    kind: 'invalid',
    message: '{operation} not supported for key type {type}',
  },
  'transit.field': { kind: 'invalid', message: '{reason}' },
  'transit.base64': { kind: 'invalid', message: 'failed to base64-decode {field}' },
  'transit.context': {
    kind: 'invalid',
    message:
      "missing 'context' for key derivation; the key was created using a derived key, which means additional, per-request information must be included in order to perform operations with the key",
  },
  'transit.ciphertext': { kind: 'invalid', message: 'invalid ciphertext: {reason}' },
  'transit.signature': { kind: 'invalid', message: 'invalid {what}: {reason}' },
  'transit.too_old': {
    kind: 'invalid',
    message: 'ciphertext or signature version is disallowed by policy (too old)',
    hint: 'Lower min_decryption_version in the config of the key, or use what was rewrapped under a newer version.',
  },
  'transit.no_match': { kind: 'invalid', message: 'cipher: message authentication failed' },
  'transit.version': { kind: 'invalid', message: '{reason}' },
  'transit.no_batch': { kind: 'invalid', message: 'missing batch input to process' },
  'transit.not_deletable': {
    kind: 'invalid',
    message: 'deletion is not allowed for this key',
    hint: 'Set deletion_allowed in the config of the key first.',
  },
  'transit.export': { kind: 'invalid', message: '{reason}' },
  'transit.backup': { kind: 'invalid', message: '{reason}' },
  'transit.import': { kind: 'invalid', message: '{reason}' },
  'transit.busy': {
    kind: 'unavailable',
    message: 'too many changes at once on this key',
    hint: 'Try again.',
  },

  // methods
  'login.refused': { kind: 'invalid', message: '{reason}' },
  'login.busy': {
    kind: 'unavailable',
    message: 'too many logins at once',
    hint: 'Try again in a moment.',
  },
  'login.changed': {
    kind: 'invalid',
    message: 'policies have changed, not renewing',
    hint: 'Log in again to get a token with the policies as they are now.',
  },
  'userpass.invalid': { kind: 'invalid', message: '{reason}' },
  'userpass.missing_password': { kind: 'invalid', message: 'missing password' },
  'userpass.unknown_user': { kind: 'invalid', message: 'username does not exist' },
  'approle.invalid': { kind: 'invalid', message: '{reason}' },
  'approle.missing_role_id': { kind: 'invalid', message: 'missing role_id' },
  'approle.missing_secret_id': { kind: 'invalid', message: 'missing secret_id' },
  'approle.unknown_role': { kind: 'missing', message: 'role "{name}" does not exist' },
  'approle.unknown_accessor': {
    kind: 'missing',
    message: 'failed to find accessor entry for secret_id_accessor: "{accessor}"',
  },
  'approle.address': {
    kind: 'invalid',
    message: 'source address "{address}" unauthorized through CIDR restrictions on the {where}',
  },
  'approle.gone': { kind: 'invalid', message: 'role "{name}" does not exist during renewal' },
  'cert.invalid': { kind: 'invalid', message: '{reason}' },
  'cert.no_certificate': {
    kind: 'invalid',
    message: 'invalid certificate or no client certificate supplied',
    hint: 'Log in over TLS with the client certificate and its key; the listener must ask for client certificates.',
  },
  'cert.no_match': {
    kind: 'invalid',
    message: 'no chain matching all constraints could be found for this login certificate',
  },
  'cert.changed': {
    kind: 'invalid',
    message: 'the client certificate is not the one of the login, not renewing',
  },
  'jwt.invalid': { kind: 'invalid', message: '{reason}' },
  'jwt.not_configured': {
    kind: 'invalid',
    message: 'could not load configuration',
    hint: 'Write the config of this auth method first.',
  },
  'jwt.not_oidc': {
    kind: 'invalid',
    message: 'OIDC login is not configured for this mount',
    hint: 'Set oidc_discovery_url, oidc_client_id and oidc_client_secret in its config.',
  },
  'jwt.missing_role': {
    kind: 'invalid',
    message: 'missing role',
    hint: 'Send role, or set default_role in the config of this auth method.',
  },
  'jwt.unknown_role': { kind: 'invalid', message: 'role "{name}" could not be found' },
  'jwt.provider': { kind: 'unavailable', message: 'the identity provider cannot be used: {reason}' },
  'jwt.refused': { kind: 'invalid', message: '{reason}' },
  'jwt.gone': { kind: 'invalid', message: 'role {name} does not exist during renewal' },
  'method.token_fields': { kind: 'invalid', message: '{reason}' },
  'kubernetes.no_host': {
    kind: 'invalid',
    message: 'no host provided',
    hint: 'Set kubernetes_host to the URL of the API server, such as https://10.96.0.1:443.',
  },
  'kubernetes.host': {
    kind: 'invalid',
    message: 'kubernetes_host must be an https URL without user, query or fragment',
    hint: 'A review over plain HTTP proves nothing: anybody on the way could answer it. Write https://HOST:PORT.',
  },
  'kubernetes.no_ca': {
    kind: 'invalid',
    message: 'one of kubernetes_ca_cert or the CA of the local pod must be available',
    hint: 'Send kubernetes_ca_cert with the CA certificate of the API server, in PEM.',
  },
  'kubernetes.ca': {
    kind: 'invalid',
    message: 'kubernetes_ca_cert holds no certificates in PEM',
    hint: 'Take it from the ConfigMap kube-root-ca.crt.',
  },
  'kubernetes.pem_keys': {
    kind: 'invalid',
    message: 'pem_keys holds what is neither a public key nor a certificate in PEM',
  },
  'kubernetes.role': { kind: 'invalid', message: '{reason}' },
  'kubernetes.missing_role': { kind: 'invalid', message: 'missing role' },
  'kubernetes.missing_jwt': { kind: 'invalid', message: 'missing jwt' },
  'kubernetes.invalid_role': { kind: 'invalid', message: 'invalid role name "{name}"' },
  'kubernetes.not_configured': {
    kind: 'invalid',
    message: 'could not load backend configuration',
    hint: 'Write the config of this auth method first.',
  },
  'kubernetes.name_denied': {
    kind: 'denied',
    message: 'service account name not authorized',
    hint: 'Add the name to bound_service_account_names of the role.',
  },
  'kubernetes.namespace_denied': {
    kind: 'denied',
    message: 'namespace not authorized',
    hint: 'Add the namespace to bound_service_account_namespaces of the role.',
  },

  // the Kubernetes engine
  'serviceaccounts.not_configured': {
    kind: 'internal',
    message: 'could not load backend configuration',
    hint: 'Write the config of this engine first.',
  },
  'serviceaccounts.no_host': {
    kind: 'invalid',
    message: 'kubernetes_host was unset and could not be determined from environment variables',
    hint: 'Set kubernetes_host to the URL of the API server, such as https://10.96.0.1:443.',
  },
  'serviceaccounts.no_jwt': {
    kind: 'invalid',
    message: 'there is no token to ask the cluster with',
    hint: 'Set service_account_jwt, or run the server in a pod and leave disable_local_ca_jwt unset.',
  },
  'serviceaccounts.jwt': { kind: 'invalid', message: 'service_account_jwt is no token' },
  'serviceaccounts.retarget': {
    kind: 'invalid',
    message: 'kubernetes_host or kubernetes_ca_cert cannot change while service_account_jwt stays',
    hint: 'Send service_account_jwt as well: the old token would be told to the new server.',
  },
  'serviceaccounts.check': { kind: 'invalid', message: 'Missing environment variables: {names}' },
  'serviceaccounts.role': { kind: 'invalid', message: '{reason}' },
  'serviceaccounts.template': { kind: 'invalid', message: 'unable to initialize name template: {reason}' },
  'serviceaccounts.rules': {
    kind: 'invalid',
    message: "failed to parse 'generated_role_rules' as k8s.io/api/rbac/v1/Policy object",
    hint: 'Write an object with a list "rules", each with apiGroups, resources and verbs, in YAML or JSON.',
  },
  'serviceaccounts.selector': {
    kind: 'invalid',
    message:
      "failed to parse 'allowed_kubernetes_namespace_selector' as k8s.io/api/meta/v1/LabelSelector object",
    hint: 'Write an object with matchLabels or matchExpressions, in YAML or JSON.',
  },
  'serviceaccounts.unknown_role': { kind: 'invalid', message: "role '{name}' does not exist" },
  'serviceaccounts.request': { kind: 'invalid', message: '{reason}' },
  'serviceaccounts.failed': { kind: 'internal', message: '{what}: {reason}' },

  // the custom engine
  'custom.config': { kind: 'invalid', message: 'the source cannot be configured so: {reason}' },
  'custom.egress': {
    kind: 'invalid',
    message: '{host}:{port} is not allowed by the egress stanza of the configuration file of the server',
    hint: 'Add it to the list "allow" of that stanza, and start the server anew.',
  },
  'custom.retarget': {
    kind: 'invalid',
    message: 'address or ca_cert cannot change while headers or secrets stay',
    hint: 'Send all headers and secrets as well: the old ones would be told to the new server.',
  },
  'custom.not_configured': {
    kind: 'invalid',
    message: 'there is no source yet',
    hint: 'Write the config of this mount first.',
  },
  'custom.role': { kind: 'invalid', message: 'the role cannot be used: {reason}' },
  'custom.unknown_role': { kind: 'invalid', message: 'unknown role: {name}' },
  'custom.no_secret': {
    kind: 'invalid',
    message: 'the role names the secret {name}, which is not configured',
    hint: 'Set it in the secrets of the config of this mount.',
  },
  'custom.render': {
    kind: 'invalid',
    message: 'the values make no valid request: {what} cannot hold one of them',
  },
  'custom.answer': {
    kind: 'unavailable',
    message: 'the answer of the source holds no usable text for the field {field}',
    hint: 'Check the JSON pointer in create.response of the role.',
  },
  'custom.failed': {
    kind: 'unavailable',
    message: 'the source did not {what}: it answered with status {status}',
  },
  'custom.settling': {
    kind: 'unavailable',
    message: 'the source knows of no such credential yet, but may still be making it; it will be asked again',
  },

  // pki
  'pki.malformed': {
    kind: 'invalid',
    message: 'the certificate, request or key is malformed',
    hint: 'Send PEM, or the DER that the path asks for.',
  },
  'pki.request': { kind: 'invalid', message: '{reason}' },
  'pki.unknown_role': {
    kind: 'invalid',
    message: 'unknown role: {name}',
    hint: 'List the roles at `roles` of this mount.',
  },
  'pki.no_default_issuer': {
    kind: 'invalid',
    message: 'no default issuer currently configured',
    hint: 'Generate a root, import an issuer, or set one at config/issuers.',
  },
  'pki.no_issuer': { kind: 'invalid', message: 'unable to find PKI issuer for reference: {name}' },
  'pki.no_key': { kind: 'invalid', message: 'unable to find PKI key for reference: {name}' },
  'pki.busy': {
    kind: 'unavailable',
    message: 'too many changes of this mount at once',
    hint: 'Try again.',
  },

  // ssh
  'ssh.request': { kind: 'invalid', message: '{reason}' },
  'ssh.no_ca': {
    kind: 'invalid',
    message: "keys haven't been configured yet",
    hint: 'Generate them, or bring them along: holdfast write config/ca of this mount.',
  },
  'ssh.has_ca': {
    kind: 'invalid',
    message: 'keys are already configured; delete them before reconfiguring',
    hint: 'What the present key signed is trusted no longer once hosts forget it: delete config/ca only when that is meant.',
  },
  'ssh.template': {
    kind: 'invalid',
    message:
      "template '{template}' could not be rendered -> no value could be found for one of the template directives, or it holds a character that it may not",
    hint: 'Give the entity of the caller what the template names; names of users and domains may not hold "*" or ",".',
  },
  'ssh.busy': {
    kind: 'unavailable',
    message: 'too many changes at once on this mount',
    hint: 'Try again.',
  },

  // totp
  'totp.request': { kind: 'invalid', message: '{reason}' },
  'totp.unknown_key': {
    kind: 'invalid',
    message: 'unknown key: {name}',
    hint: 'List the keys at `keys` of this mount.',
  },
  'totp.used': { kind: 'invalid', message: 'code already used; wait until the next time period' },
  'totp.busy': {
    kind: 'unavailable',
    message: 'too many requests at once for this key',
    hint: 'Try again.',
  },

  // engine aws
  'aws.config': { kind: 'invalid', message: 'AWS cannot be reached so: {reason}' },
  'aws.egress': {
    kind: 'invalid',
    message: '{host}:{port} is not allowed by the egress stanza of the configuration file of the server',
    hint: 'Add it to the list "allow" of that stanza, and start the server anew.',
  },
  'aws.not_configured': {
    kind: 'invalid',
    message: 'no configuration found for config/root',
    hint: 'Write the access_key and secret_key that AWS is asked with to config/root of this mount.',
  },
  'aws.lease': { kind: 'invalid', message: '{reason}' },
  'aws.template': { kind: 'invalid', message: 'unable to initialize username template: {reason}' },
  'aws.username': {
    kind: 'internal',
    message:
      'the username generated by the template exceeds the {type} username length limits of {limit} chars',
    hint: 'Put "truncate {limit}" at the end of username_template of config/root.',
  },
  'aws.name': {
    kind: 'invalid',
    message:
      'the name must be of letters, digits, "_", "-", "." and "@", and begin and end with a letter, digit or "_"',
  },
  'aws.role': { kind: 'invalid', message: 'error(s) validating supplied role data: {reason}' },
  'aws.unknown_role': { kind: 'invalid', message: 'Role "{name}" not found' },
  'aws.request': { kind: 'invalid', message: '{reason}' },
  'aws.failed': { kind: 'invalid', message: '{what}: {reason}' },
  'aws.signature': {
    kind: 'invalid',
    message: '{what}: {reason}',
    hint: 'Check access_key and secret_key of config/root, and the clock of this server. A key that is new takes some seconds until AWS knows it everywhere.',
  },
  'aws.unavailable': { kind: 'unavailable', message: '{what}: {reason}', hint: 'Try again.' },
  'aws.second_key': {
    kind: 'invalid',
    message: 'error calling CreateAccessKey: LimitExceeded',
    hint: 'A user has two access keys at most, and a rotation makes a second one: delete the one that is not in config/root.',
  },
  'aws.settling': {
    kind: 'unavailable',
    message: 'AWS knows of no user {name}, but may yet come to know of it; it will be asked again',
  },
  'aws.other_user': {
    kind: 'invalid',
    message:
      'AWS GetUser returned a user, but the ID did not match: "{before}" was requested, but "{now}" was returned',
    hint: 'The user was deleted and another made under its name. Delete the static role and write it anew.',
  },

  // engine database
  'database.plugin': {
    kind: 'invalid',
    message: 'plugin not found in the catalog: {name}',
    hint: 'Set plugin_name to one of: {known}.',
  },
  'database.name': {
    kind: 'invalid',
    message:
      'the name must be of letters, digits, "_", "-" and ".", and begin and end with a letter, digit or "_"',
  },
  'database.config': { kind: 'invalid', message: 'error creating database object: {reason}' },
  'database.template': { kind: 'invalid', message: 'unable to parse username template: {reason}' },
  'database.statements': { kind: 'invalid', message: 'the statements cannot be used: {reason}' },
  'database.role': { kind: 'invalid', message: '{reason}' },
  'database.verify': {
    kind: 'invalid',
    message: 'error creating database object: error verifying connection: {reason}',
    hint: 'Set verify_connection=false to keep the configuration of a database that is not up yet.',
  },
  'database.no_config': {
    kind: 'invalid',
    message: 'failed to find entry for connection with name: "{name}"',
    hint: 'Write config/NAME of this mount first.',
  },
  'database.no_root': {
    kind: 'invalid',
    message: 'unable to rotate root credentials: no username and password in the configuration',
    hint: 'Leave user and password out of connection_url, and send them as username and password.',
  },
  'database.unsettled': {
    kind: 'unavailable',
    message:
      'a rotation of the root password of "{name}" was cut short, and neither password opens the database now',
    hint: 'Try again when the database answers, or write the password that holds to its config.',
  },
  'database.unknown_role': { kind: 'invalid', message: 'unknown role: {name}' },
  'database.unknown_static': { kind: 'invalid', message: 'unknown role: {name}' },
  'database.not_allowed': {
    kind: 'internal',
    message: '"{name}" is not an allowed role',
    hint: 'Add it to allowed_roles of the database; "*" stands for any run of characters.',
  },
  'database.taken': {
    kind: 'conflict',
    message: 'the username_template made "{name}", which there is already',
    hint: 'Put something into username_template that is different each time, such as (random 20).',
  },
  'database.too_late': {
    kind: 'unavailable',
    message: 'the database took longer to make the account than its lease would have lived',
    hint: 'Set a longer default_ttl for the role.',
  },
  'database.connection': { kind: 'internal', message: 'the database cannot be reached: {reason}' },
  'database.failed': { kind: 'internal', message: 'the database did not do it: {reason}' },

  // identity: entities, aliases and groups
  'identity.disabled': {
    kind: 'denied',
    message: 'permission denied',
    hint: 'The entity of this caller is disabled; who may write to identity/entity can enable it.',
  },
  'identity.merge_clash': {
    kind: 'invalid',
    message:
      'toEntity and at least one fromEntity have aliases with the same mount accessor, repeat the merge request specifying exactly one fromEntity, clashes: {clashes}',
    hint: 'Name the aliases to keep in conflicting_alias_ids_to_keep.',
  },
  'identity.group_cycle': {
    kind: 'invalid',
    message: 'cyclic relationship detected for member group ID "{group}"',
    hint: 'A group cannot be a member of its own members.',
  },

  // provider: what stands between an external store and a Secret
  'provider.property_missing': {
    kind: 'missing',
    message: 'cannot find secret data for key: "{property}" in {entry}{nearest}',
  },
  'provider.not_an_object': { kind: 'invalid', message: 'the value of {entry} is not a JSON object' },
  'provider.path_too_costly': { kind: 'invalid', message: 'the path of a property builds too large a value' },
  'provider.decoding': { kind: 'invalid', message: 'the value of {entry} is not {strategy}' },
  'provider.null_byte': { kind: 'invalid', message: 'the value of {entry} holds a null byte' },
  'provider.keys': {
    kind: 'invalid',
    message: 'invalid secret keys (TIP: use rewrite or conversionStrategy to change keys): {reason}',
  },
  'provider.collision': { kind: 'invalid', message: 'secret name collision during conversion: {name}' },
  'provider.rewrite': { kind: 'invalid', message: 'rewrite: {pattern} is not a regular expression (RE2)' },
  'provider.merge': { kind: 'invalid', message: 'rewrite: merge: {reason}' },
  'provider.spec': { kind: 'invalid', message: '{store}: {reason}' },
  'provider.unsupported': { kind: 'unsupported', message: '{store}: {reason}', hint: '{mend}' },
  'provider.login': { kind: 'denied', message: '{store}: cannot log in: {reason}', hint: '{mend}' },
  'provider.read': { kind: 'unavailable', message: '{store}: cannot read {path}: {reason}' },
  'provider.denied': { kind: 'denied', message: '{store}: cannot read {path}: {reason}', hint: '{mend}' },
  'provider.parameters': {
    kind: 'invalid',
    message:
      '{store}: {path} is written, not read: name its parameters in the key ("{path}?common_name=app.example.com") or in the annotation holdfast.dev/parameters of the ExternalSecret, or use a VaultDynamicSecret generator',
  },
  'provider.write': { kind: 'unavailable', message: '{store}: cannot write {path}: {reason}' },
  'provider.write_denied': {
    kind: 'denied',
    message: '{store}: cannot write {path}: {reason}',
    hint: '{mend}',
  },
  'provider.push': { kind: 'invalid', message: '{store}: cannot write {path}: {reason}' },
  'provider.foreign': {
    kind: 'denied',
    message: '{store}: {path} is not ours to write: {reason}',
    hint: 'Push to another key, or take it over: annotate the PushSecret with holdfast.dev/adopt: "true".',
  },
  'provider.stale': {
    kind: 'unavailable',
    message: '{store}: {path} still answers an older version than {version}',
  },
} as const satisfies Record<string, Row>;

export type Code = keyof typeof codes;

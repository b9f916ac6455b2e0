/** Where we differ from an upstream server on purpose, each with its reason. What is not listed here is a bug. */

export interface Deviation {
  /** Of "METHOD path". */
  readonly request: RegExp;
  /** Of the pointer of a difference ("/data/x", "status"). */
  readonly at: RegExp;
  /** Of the status that the peer gave, where that matters. */
  readonly peerStatus?: number;
  readonly why: string;
}

const ANY = /./;

export const DEVIATIONS: readonly Deviation[] = [
  {
    request: ANY,
    at: /^\/mount_type$/,
    why: 'Vault from 1.17 on names the type of the mount; OpenBao does not',
  },
  {
    request: ANY,
    at: /\/?running_plugin_version$/,
    why: 'plugins are part of the program, and each program has its own version',
  },
  {
    request: /sys\/polic/,
    at: /\/(allow_(slashes|wildcards)_in_identity_templates|cas_required|modified|version|expiration)$/,
    why: 'versions and conditions of policies are additions of OpenBao',
  },
  {
    request: /pkv\/(metadata|config)/,
    at: /\/(current_metadata_version|metadata_cas_required)$/,
    why: 'check-and-set on metadata is an addition of OpenBao',
  },
  { request: /ptr\/keys/, at: /\/soft_deleted$/, why: 'soft deletion of keys is an addition of OpenBao' },
  {
    request: ANY,
    at: /\/token_strictly_bind_ip$/,
    why: 'binding a token to one address is an addition of OpenBao',
  },
  {
    request: ANY,
    at: /^(status|\/.*)$/,
    peerStatus: 500,
    why: 'upstream answers 500 for input that is wrong; 500 would make clients try again, so we answer 400 or 404',
  },
  {
    request: /ptr\/keys\/conv/,
    at: /\/convergent_encryption_version$/,
    why: 'upstream shows -1, "ask each version of the key"; ours are all of scheme 3, and we say so',
  },
  { request: /ptr\/keys\/t-hmac/, at: /\/keys$/, why: 'we show the versions of HMAC keys as of all others' },
  {
    request: /ptr\/decrypt/,
    at: /\/batch_results\/\d+\/error$/,
    why: 'why a ciphertext is not one of ours is said in our own words',
  },
  { request: /ptr\/cache-config/, at: /\/warnings$/, why: 'we keep no cache of keys to size, and say so' },
  {
    request: /ptr\/verify\/t-nope/,
    at: /\/errors$/,
    why: 'where two things are wrong with a request, which is told first is not promised',
  },
  {
    request: /sys\/auth\/papp/,
    at: /\/options$/,
    why: 'no options are null for auth mounts as for secret mounts',
  },
  {
    request: /secret-id-accessor\/lookup/,
    at: /^\//,
    why: 'upstream hides this error in `data`, where clients do not look; ours stands with the errors',
  },
  {
    request: /PATCH pkv\/data\//,
    at: /^\/$/,
    peerStatus: 404,
    why: 'upstream sends this 404 without a body; ours has the usual one',
  },
  {
    request: /renew-accessor/,
    at: /\/lease_duration$/,
    why: 'upstream repeats the increment of the renewal before; ours gives the time the token was made with',
  },
  {
    request: /sys\/(health|leader)/,
    at: /\/(enterprise|performance_standby.*|active_time|is_self|leader_.*|version)$/,
    why: 'Vault tells these where OpenBao does not, and the number of its own version',
  },
  {
    request: /sys\/key-status/,
    at: /\/encryptions$/,
    why: 'each server counts what it has sealed for itself',
  },
  {
    request: /sys\/(mounts|auth)\/p/,
    at: /\/options$/,
    why: 'a mount without options says null, as its listing does',
  },
  {
    request: /(GET pwrap|wrapping\/unwrap)/,
    at: /\/lease_duration$/,
    why: 'upstream tells the default time of the system, even where the mount ends sooner',
  },
  {
    request: /GET sys\/leases$/,
    at: /^(status|\/.*)$/,
    why: 'a listing that needs a type says so',
  },
  {
    request: /sys\/leases\/tidy/,
    at: /\/warnings/,
    why: 'a warning for people',
  },
  {
    request: /auditing\/request-headers$/,
    at: /(correlation-id|user-agent)$/,
    why: 'Vault keeps these headers by default, OpenBao none',
  },
  {
    request: /sys\/config\/cors/,
    at: /^(status|\/.*)$/,
    why: 'browsers of other origins are not served, and there is no way to let them in',
  },
  {
    request: /sys\/(generate-root|rekey)\//,
    at: /^(status|\/.*)$/,
    peerStatus: 405,
    why: 'OpenBao has these behind a token elsewhere; the clients of Vault ask here',
  },
  {
    request: /sys\/(remount|health)/,
    at: /^\/errors$/,
    peerStatus: 405,
    why: 'an error for people',
  },
  { request: /POST sys\/remount/, at: /^\/errors$/, why: 'the error names the mount that is not there' },
  {
    request: /identity\/(entity|lookup)/,
    at: /\/name$/,
    why: 'OpenBao hangs the id of the namespace on names that it makes up',
  },
  {
    request: /ppki\/(ca|issuer\/none|cert\/none)/,
    at: /^(status|\/.*)$/,
    why: 'where nothing is there, ours says what is missing; upstream sends no content, or knows no such path',
  },
  {
    request: /ppki\/root\/generate/,
    at: /^(status|\/.*)$/,
    why: 'an authority without a name is refused, not warned of; warnings are for people',
  },
  {
    request: /LIST ppki\/(issuers|keys)/,
    at: /\/(keys|is_default)$/,
    why: 'upstream has made the authority without a name',
  },
  {
    request: /ppki\/issuer\/default/,
    at: /\/(enable_aia_url_templating|revocation_signature_algorithm)$/,
    why: 'revocation lists are signed as the key of the issuer allows; Vault tells of templates, OpenBao does not',
  },
  { request: /ppki\/config\/crl/, at: /\/allow_expired_cert_revocation$/, why: 'an addition of OpenBao' },
  {
    request: /ppki\/roles/,
    at: /\/(allow_globs_in_identity_templates|allowed_ip_sans_cidr|not_(after|before)(_bound)?)$/,
    why: 'additions of OpenBao',
  },
  {
    request: /ppki\/(issue|tidy|root)/,
    at: /^(status|\/(warnings.*|request_id)|\/)$/,
    why: 'warnings are for people; ours come where there is something to do',
  },
  {
    request: /pssh\/(config\/ca|roles)/,
    at: /\/issuer_(id|name|ref)$/,
    why: 'several authorities in one mount are an addition of OpenBao',
  },
  {
    request: /auth\/pjwt\/role/,
    at: /\/(oauth2_metadata|token_policies_template_claims)$/,
    why: 'additions of OpenBao',
  },
  {
    request: /auth\/pk8s\/role\/r/,
    at: /^(status|\/)$/,
    why: 'Vault warns of a role without an audience',
  },
  { request: /auth\/pcert\/config/, at: /\/ocsp_cache_size$/, why: 'the default that Vault documents' },
  {
    request: /(\/\/|%2f)/i,
    at: /^(status|\/errors.*)$/,
    why: 'a path with two spellings is refused: what policy judged must be what is used',
  },
];

export const deviationOf = (request: string, at: string, peerStatus: number): Deviation | undefined =>
  DEVIATIONS.find(
    (one) =>
      one.request.test(request) &&
      one.at.test(at) &&
      (one.peerStatus === undefined || one.peerStatus === peerStatus),
  );

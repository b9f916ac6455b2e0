/**
 * What happens to a request, in this order and no other: the array below is the security order of the server. Each step is
 * a function over the exchange; the first that fails stops all that follow but for the two that write the audit trail.
 */

import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { utf8 } from '../../base/bytes.ts';
import { inCidrs } from '../../base/cidr.ts';
import { asFailure, type Failure, failure, isFailure } from '../../base/errors.ts';
import { type Json, stringify } from '../../base/json.ts';
import { asFolder, asLeaf, type Path, parsePath } from '../../base/path.ts';
import { after, type Soon } from '../../base/soon.ts';
import type { Grant, Operation, Reply } from '../../plugin/plugin.ts';
import type { AuditAuth, AuditRequest, AuditResponse } from '../audit/audit.ts';
import type { Acl, AclRequest, Decision } from '../auth/acl.ts';
import { type IssuedToken, isIssued, type TokenEntry } from '../auth/tokens.ts';
import { type Authority, authorityOf, identityPoliciesOf, united } from './authority.ts';
import { bytesOf, membersOf, streamOf } from './body.ts';
import type { Core, Services } from './core.ts';
import { envelopeText, timestamp } from './envelope.ts';
import { Exchange, ExchangeCall } from './exchange.ts';
import { helpOf } from './help.ts';
import { gathered, isPaged, streamed } from './listing.ts';
import { judgedPath, type LiveMount, type MountConfig, routeOf } from './mounts.ts';
import type { Answer, AuthInfo, Envelope, Request } from './request.ts';
import { wrap } from './wrapping.ts';

interface Step {
  readonly name: string;
  /** Runs even where an earlier step failed. */
  readonly always?: true;
  /** Waits for nothing that is at hand: a cached read goes through all steps in one piece. */
  run(exchange: Exchange): Soon<void>;
}

/** The security order. Limits on size and the parsing of the path come before it, at the edge. */
const ORDER: readonly Step[] = [
  { name: 'route', run: findRoute },
  { name: 'limit the rate', run: limitRate },
  { name: 'body', run: readBody },
  { name: 'token', run: findToken },
  { name: 'existence', run: tellCreateFromUpdate },
  { name: 'authorize', run: authorize },
  { name: 'count the use', run: countUse },
  { name: 'audit the request', always: true, run: auditRequest },
  { name: 'validate', run: validate },
  { name: 'run', run: runOperation },
  { name: 'grant', run: makeToken },
  { name: 'gather', run: gatherNames },
  { name: 'wrap', run: wrapReply },
  { name: 'answer', run: makeAnswer },
  { name: 'audit the response', always: true, run: auditResponse },
];

/**
 * Answers a request: at once where no step had to wait. Never throws: what went wrong is an answer too.
 * @param id the `request_id` of the answer and of both lines in the audit trail
 */
export const answer = (core: Core, request: Request, id: string = randomUUID()): Soon<Answer> =>
  runFrom(new Exchange(core, request, id), 0);

/** Runs the steps from the one at `first` on. */
function runFrom(exchange: Exchange, first: number): Soon<Answer> {
  for (let at = first; at < ORDER.length; at++) {
    const step = ORDER[at] as Step;
    if (exchange.problem !== undefined && step.always === undefined) continue;
    try {
      const pending = step.run(exchange);
      if (pending instanceof Promise)
        return pending.then(
          () => runFrom(exchange, at + 1),
          (error: unknown) => {
            note(exchange, step, error);
            return runFrom(exchange, at + 1);
          },
        );
    } catch (error) {
      note(exchange, step, error);
    }
  }
  return after(finish(exchange), () =>
    exchange.problem === undefined
      ? (exchange.answer ?? DONE)
      : ({ kind: 'failed', failure: exchange.problem } as const),
  );
}

const DONE: Answer = { kind: 'done' };

function note(exchange: Exchange, step: Step, error: unknown): void {
  exchange.problem = asFailure(error);
  if (exchange.problem.kind !== 'internal') return;
  const { core, id, path } = exchange;
  core.log.error('a request failed', { id, path: path.text, step: step.name, error });
}

function findRoute(exchange: Exchange): void {
  const { core, request } = exchange;
  exchange.services = core.services();
  const services = exchange.services;
  const mount = request.path.text.startsWith('sys/') ? core.system : services?.mounts.find(request.path);
  const match = mount && routeOf(mount, request.path);
  if (services === undefined && match?.route.sealed !== true && !isOpenMetrics(exchange))
    throw failure(core.initialized() ? 'server.sealed' : 'server.uninitialized');
  // Whatever else lies at that path was not asked for by its one name.
  if (request.opaque === true && (match?.route.opaque !== true || match.route.access !== 'public'))
    throw failure('path.not_canonical', { reason: 'it holds an encoded slash, backslash or NUL' });
  exchange.mount = mount;
  if (mount === undefined || match === undefined) {
    // Told only after policy allowed to ask: else a stranger could find out what is mounted where.
    exchange.nowhere =
      mount === undefined
        ? failure('request.no_handler', { path: request.path.text })
        : failure('request.unsupported_path');
    return;
  }
  exchange.match = match;
  exchange.path = judgedPath(match, request.path);
  exchange.operation = match.route.operations[exchange.verb];
}

/** The numbers of the server, asked for where its file opens them to everybody: sealed or not, as an alarm needs it. */
const isOpenMetrics = ({ request, verb }: Exchange): boolean =>
  request.openMetrics === true && verb === 'read' && request.path.text === 'sys/metrics';

const accessOf = (exchange: Exchange): 'public' | 'token' | 'sudo' =>
  isOpenMetrics(exchange) ? 'public' : (exchange.match?.route.access ?? 'token');

/** What must answer while nothing else does; as upstream, it leaves no trace in the trail. */
const isUnaudited = (exchange: Exchange): boolean =>
  exchange.match?.route.sealed === true || isOpenMetrics(exchange);

/** Before anything that costs: who asks too often is turned away unread. */
function limitRate({ services, request }: Exchange): void {
  services?.quotas.take(request.path.text, request.remote.address);
}

function readBody(exchange: Exchange): void {
  const { operation, request } = exchange;
  if (operation !== undefined && request.help !== true) exchange.data = membersOf(request, operation);
}

function findToken(exchange: Exchange): Soon<void> {
  const { request, services } = exchange;
  if (services === undefined) return;
  const isPublic = accessOf(exchange) === 'public';
  const shown = request.token === undefined ? undefined : services.tokens.lookup(request.token);
  return after(shown, (entry) => {
    if (entry !== undefined && inCidrs(request.remote.address, entry.boundCidrs))
      return findAuthority(exchange, services, entry, isPublic);
    if (!isPublic) throw failure('request.denied');
  });
}

function findAuthority(
  exchange: Exchange,
  services: Services,
  token: TokenEntry,
  isPublic: boolean,
): Soon<void> {
  exchange.token = token;
  const refused = (error: unknown): void => {
    if (!isPublic) throw error;
    // Who is refused everywhere else is a stranger here.
    exchange.token = undefined;
  };
  try {
    const found = authorityOf(services, token);
    if (found instanceof Promise)
      return found.then((authority) => {
        exchange.authority = authority;
      }, refused);
    exchange.authority = found;
  } catch (error) {
    refused(error);
  }
}

function tellCreateFromUpdate(exchange: Exchange): Soon<void> {
  const { match, verb, request } = exchange;
  if (request.help === true) return;
  if (verb !== 'write') {
    exchange.capability = verb;
    return;
  }
  // Asked only of callers that have a token: to strangers it would tell what exists.
  const there =
    match === undefined ||
    exchange.operation === undefined ||
    exchange.token === undefined ||
    match.route.exists === undefined ||
    match.route.exists(match.params);
  return after(there, (exists) => {
    exchange.capability = exists ? 'update' : 'create';
  });
}

function authorize(exchange: Exchange): void {
  const { acl, capability, path, request, data } = exchange;
  const access = accessOf(exchange);
  if (access !== 'public') {
    if (acl === undefined) throw failure('request.denied');
    if (capability !== undefined) {
      const decision = acl.decide({
        path,
        capability,
        sudo: access === 'sudo',
        parameters: data,
        wrapTtlMs: request.wrapTtlMs ?? 0,
      });
      exchange.decision = decision;
      if (!decision.allowed || isDeniedUnderOtherName(acl, path, capability, exchange.match?.route.caseless))
        throw failure('request.denied');
    } else if (acl.capabilities(path).includes('deny')) {
      // Who asks for help needs some right there: else anybody with a token could find out what is mounted where.
      throw failure('request.denied');
    }
  }
  if (exchange.nowhere !== undefined) throw exchange.nowhere;
  // Only after policy: whether an operation exists is nobody's business who may not ask for it.
  if (request.help === true) return;
  if (exchange.operation === undefined) throw failure('request.unsupported');
  if (exchange.verb === 'write' && path.folder)
    throw failure('request.invalid', { reason: "cannot write to a path ending in '/'" });
}

/**
 * The routes of sys/ take "mounts/secret/" for "mounts/secret", as clients send either. A rule that denies the one must
 * hold for the other, or a slash would be enough to get around it. So for names that are found in any case.
 */
function isDeniedUnderOtherName(
  acl: Acl,
  path: Path,
  capability: AclRequest['capability'],
  caseless = false,
): boolean {
  if (acl.root) return false;
  const isDenied = (rules: Acl, other: Path): boolean => {
    const { rule } = rules.decide({ path: other, capability, sudo: false });
    return rule !== undefined && rule !== 'root' && rule.capabilities.includes('deny');
  };
  if (caseless && isDenied(acl.folded(), parsePath(path.text.toLowerCase()))) return true;
  return path.segments[0] === 'sys' && isDenied(acl, path.folder ? asLeaf(path) : asFolder(path));
}

function countUse(exchange: Exchange): Soon<void> {
  const { token } = exchange;
  if (token === undefined || token.uses === 0 || accessOf(exchange) === 'public') return;
  return exchange
    .open()
    .tokens.use(token)
    .then((used) => {
      if (used === undefined) throw failure('request.denied');
      exchange.token = used;
    });
}

function auditRequest(exchange: Exchange): Soon<void> {
  const { services, mount, problem } = exchange;
  if (services === undefined || isUnaudited(exchange) || !services.audit.enabled) return;
  if (isUnrecorded(problem, services)) return;
  const recorded = services.audit.request(
    auditedRequest(exchange),
    auditedAuth(exchange),
    problem?.message,
    mount?.clear,
  );
  if (exchange.operation?.effect !== 'none') return recorded;
  // Nothing comes of it but an answer, and that waits for both lines: so they can be written together.
  recorded.catch(() => undefined);
  exchange.recorded = recorded;
}

/** A flood that a quota turns away must not fill the trail's disk, unless somebody asked for that. */
const isUnrecorded = (problem: Failure | undefined, { quotas }: Services): boolean =>
  isFailure(problem, 'quota.exceeded') && !quotas.config.auditRefused;

function validate(exchange: Exchange): void {
  const { operation, match, request, data } = exchange;
  if (operation === undefined || match === undefined || request.help === true) return;
  const given: Record<string, unknown> =
    operation.body === 'bytes'
      ? { ...match.params, body: bytesOf(request) }
      : operation.body === 'stream'
        ? { ...match.params, body: streamOf(request) }
        : { ...data, ...match.params };
  const read = operation.input.safeParse(given);
  if (!read.success) throw failure('request.invalid', { reason: reasonOf(read.error) });
  exchange.input = read.data;
}

function runOperation(exchange: Exchange): Soon<void> {
  const { operation, match, request } = exchange;
  if (match === undefined) return;
  if (request.help === true) {
    exchange.reply = {
      raw: {
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: utf8(stringify(helpOf(match.route))),
      },
    };
    return;
  }
  if (operation === undefined) return;
  const call = new ExchangeCall(exchange);
  const run = operation.run as (input: unknown, call: ExchangeCall) => Soon<Reply>;
  const ran =
    operation.lockout === undefined
      ? run.call(operation, exchange.input, call)
      : guessed(exchange, operation, async () => run.call(operation, exchange.input, call));
  return after(ran, (reply) => {
    exchange.reply = reply;
    if (!('raw' in reply) && reply.warnings !== undefined) exchange.warnings.push(...reply.warnings);
  });
}

/** Runs a login that can be guessed at: not at all while its name is locked out. */
async function guessed(exchange: Exchange, operation: Operation, run: () => Promise<Reply>): Promise<Reply> {
  const { mount, input } = exchange;
  if (operation.lockout === undefined || mount === undefined) return run();
  const { lockout } = exchange.open();
  const { accessor } = mount.entry;
  const alias = (operation.lockout as (input: unknown) => string)(input);
  const refuseLocked = (): void => {
    if (lockout.locked(accessor, alias)) throw failure('request.denied');
  };
  refuseLocked();
  let reply: Reply;
  try {
    reply = await run();
  } catch (error) {
    if (isFailure(error, 'login.refused')) lockout.failed(accessor, alias);
    throw error;
  }
  // Asked again: else a thousand guesses sent at once would all be judged before the first was counted.
  refuseLocked();
  lockout.succeeded(accessor, alias);
  return reply;
}

/** A plugin only says what a token shall hold; the token itself is made here, and by nobody else. */
function makeToken(exchange: Exchange): Soon<void> {
  const { reply } = exchange;
  if (reply === undefined || !('auth' in reply)) return;
  return makeTokenOf(exchange, reply);
}

async function makeTokenOf(exchange: Exchange, reply: Extract<Reply, { auth: Grant }>): Promise<void> {
  const issued = isIssued(reply.auth) ? reply.auth.issued : await granted(exchange, reply.auth);
  exchange.warnings.push(...issued.warnings);
  const identityPolicies = await identityPoliciesOf(exchange.open(), issued.entry.entityId);
  exchange.auth = authInfo(issued, identityPolicies, exchange.open().tokens.now());
}

async function granted(exchange: Exchange, grant: Grant): Promise<IssuedToken> {
  const { tokens, mounts, policies, identity } = exchange.open();
  const mount = exchange.mount;
  if (mount === undefined) throw failure('base.internal');
  const asked = grant.policies.map((name) => name.trim().toLowerCase()).filter((name) => name !== '');
  const named = grant.token.noDefaultPolicy ? asked : [...asked, 'default'];
  // A login that makes root would let whoever may write a role become root.
  const allowed = [...new Set(named)]
    .filter((name) => name !== 'root' && name !== 'response-wrapping')
    .sort();
  for (const name of allowed)
    if (!(await policies.exists(name))) exchange.warnings.push(`Policy "${name}" does not exist`);
  const ttl = mounts.ttlOf(mount.entry);
  const maxTtlMs = grant.token.maxTtlMs > 0 ? Math.min(grant.token.maxTtlMs, ttl.maxMs) : ttl.maxMs;
  const entity =
    grant.alias === undefined
      ? undefined
      : await identity.login({
          name: grant.alias.name,
          metadata: grant.alias.metadata ?? {},
          mount: mount.entry,
          groups: grant.groups ?? [],
        });
  exchange.entityCreated = entity?.created ?? false;
  return tokens.create({
    ...(entity === undefined ? {} : { entityId: entity.id }),
    type: loginType(mount.entry.config.tokenType, grant.token.type),
    loginMount: mount.entry.uuid,
    policies: allowed,
    path: exchange.path.text,
    displayName: grant.displayName,
    meta: grant.metadata,
    uses: grant.token.uses,
    ttlMs: grant.token.ttlMs > 0 ? grant.token.ttlMs : Math.min(ttl.defaultMs, maxTtlMs),
    maxTtlMs,
    explicitMaxTtlMs: grant.token.explicitMaxTtlMs,
    periodMs: grant.token.periodMs,
    renewable: grant.token.renewable,
    boundCidrs: grant.token.boundCidrs,
  });
}

/** What a mount is tuned to is for all its logins; what it is only inclined to, a role may decide. */
function loginType(mount: MountConfig['tokenType'], role: Grant['token']['type']): 'service' | 'batch' {
  if (mount === 'service' || mount === 'batch') return mount;
  if (role !== 'default') return role;
  return mount === 'default-batch' ? 'batch' : 'service';
}

/**
 * What is audited or wrapped has to be known as a whole before anything leaves; and the end of a token that is used up, which
 * takes its own storage with it, follows the answer.
 */
function gatherNames(exchange: Exchange): Soon<void> {
  const { reply, request, services, token } = exchange;
  if (!isPaged(reply)) return;
  const isWhole =
    services?.audit.enabled === true || (request.wrapTtlMs ?? 0) > 0 || (token?.uses ?? 0) !== 0;
  if (!isWhole) return;
  return gathered(reply).then((whole) => {
    exchange.reply = whole;
  });
}

function wrapReply(exchange: Exchange): Soon<void> {
  const { reply, request } = exchange;
  const ttlMs = request.wrapTtlMs ?? 0;
  if (ttlMs <= 0 || reply === undefined || 'raw' in reply || exchange.wrap !== undefined) return;
  // What failed is told at once: nobody should have to open it to learn that there is nothing inside.
  if ('status' in reply && (reply.status ?? 200) >= 400) return;
  if (exchange.auth === undefined && (!('data' in reply) || reply.data === undefined)) return;
  return wrap(exchange.open(), envelopeText(envelopeOf(exchange)), {
    path: exchange.path.text,
    ttlMs,
    ...(exchange.auth === undefined ? {} : { wrappedAccessor: exchange.auth.accessor }),
  }).then((wrapped) => {
    exchange.wrap = wrapped;
  });
}

function makeAnswer(exchange: Exchange): void {
  const { reply, verb } = exchange;
  if (reply === undefined) return;
  if ('raw' in reply) {
    exchange.answer = { kind: 'raw', reply: reply.raw };
    return;
  }
  if (isPaged(reply)) {
    exchange.answer = { kind: 'raw', reply: streamed(reply, envelopeOf(exchange)) };
    return;
  }
  const reads = verb === 'read' || verb === 'list';
  const data = 'data' in reply ? reply.data : undefined;
  const nothing =
    exchange.auth === undefined &&
    exchange.wrap === undefined &&
    data === undefined &&
    (!('lease' in reply) || reply.lease === undefined) &&
    exchange.warnings.length === 0;
  const emptyList =
    verb === 'list' && exchange.wrap === undefined && exchange.warnings.length === 0 && isEmptyList(data);
  if (emptyList || (nothing && reads)) exchange.answer = { kind: 'absent' };
  else if (nothing) exchange.answer = { kind: 'done' };
  else {
    const status = 'status' in reply ? reply.status : undefined;
    exchange.answer = {
      kind: 'envelope',
      envelope: envelopeOf(exchange),
      ...(status === undefined ? {} : { status }),
    };
  }
}

function auditResponse(exchange: Exchange): Soon<void> {
  const { services, mount } = exchange;
  if (services === undefined || isUnaudited(exchange)) return;
  if (!services.audit.enabled && !services.ended.aborted) return;
  if (isUnrecorded(exchange.problem, services)) return;
  const unrecorded = (error: unknown): never => {
    exchange.answer = undefined;
    throw error;
  };
  // Sealed meanwhile: its devices are closed, and what cannot be recorded may not leave.
  if (services.ended.aborted) return unrecorded(failure('server.sealed'));
  const { recorded } = exchange;
  const answered = services.audit.response(
    auditedRequest(exchange),
    auditedAuth(exchange),
    exchange.problem === undefined ? auditedResponse(exchange) : undefined,
    exchange.problem?.message,
    mount?.clear,
  );
  return answered.then(() => recorded).catch(unrecorded);
}

/** What follows an answer. A token that this request used up ends with it, whatever came of it. */
function finish(exchange: Exchange): Soon<void> {
  for (const work of exchange.afterwards)
    work().catch((error: unknown) => exchange.core.log.error('work after an answer failed', { error }));
  const isUsedUp = exchange.token?.uses === -1;
  if (isUsedUp || (exchange.problem !== undefined && exchange.reserved.length > 0)) return takeBack(exchange);
}

async function takeBack(exchange: Exchange): Promise<void> {
  if (exchange.problem !== undefined) await takeBackLeases(exchange);
  if (exchange.token?.uses !== -1) return;
  try {
    await exchange.open().tokens.revoke(exchange.token.hash);
  } catch (error) {
    exchange.core.log.warn('a token that was used up could not be ended yet', { error });
  }
}

/** Ends the leases of a request that failed, in the operation or because no audit device took its answer. */
async function takeBackLeases({ core, services, reserved }: Exchange): Promise<void> {
  for (const id of reserved) {
    try {
      await services?.leases.revokeSoon(id);
    } catch (error) {
      core.log.error('the lease of a request that failed could not be ended; it ends at its time', {
        lease: id,
        error,
      });
    }
  }
}

function envelopeOf(exchange: Exchange): Envelope {
  const { reply } = exchange;
  const data = reply !== undefined && 'data' in reply ? reply.data : undefined;
  const lease = reply !== undefined && 'lease' in reply ? reply.lease : undefined;
  return {
    requestId: exchange.id,
    mountType: exchange.mount?.entry.type ?? '',
    flat: exchange.operation?.flat ?? false,
    ...(data === undefined ? {} : { data }),
    ...(reply !== undefined && 'text' in reply ? { text: reply.text } : {}),
    ...(lease === undefined ? {} : { lease }),
    ...(exchange.warnings.length === 0 ? {} : { warnings: exchange.warnings }),
    ...(exchange.auth === undefined ? {} : { auth: exchange.auth }),
    ...(exchange.wrap === undefined ? {} : { wrap: exchange.wrap }),
  };
}

function authInfo({ token, entry }: IssuedToken, identityPolicies: readonly string[], now: number): AuthInfo {
  return {
    token,
    type: entry.type ?? 'service',
    accessor: entry.accessor,
    policies: entry.policies,
    identityPolicies,
    metadata: entry.meta,
    leaseMs: entry.expiresAt === undefined ? 0 : entry.expiresAt - now,
    renewable: entry.renewable,
    entityId: entry.entityId,
    orphan: entry.parent === undefined,
    uses: Math.max(0, entry.uses),
  };
}

/** The same in both lines of an exchange: all that it tells stands when the first is written. */
function auditedRequest(exchange: Exchange): AuditRequest {
  exchange.audited ??= newAuditedRequest(exchange);
  return exchange.audited;
}

/** One object for each mount as it is, by which a device knows what it wrote of it. */
const auditedMounts = new WeakMap<LiveMount, NonNullable<AuditRequest['mount']>>();

function auditedMount(mount: LiveMount, isSystem: boolean): NonNullable<AuditRequest['mount']> {
  const known = auditedMounts.get(mount);
  if (known !== undefined) return known;
  const { path, type, accessor, kind } = mount.entry;
  const facts = { point: path, type, accessor, class: isSystem ? ('system' as const) : kind };
  auditedMounts.set(mount, facts);
  return facts;
}

function newAuditedRequest(exchange: Exchange): AuditRequest {
  const { request, mount, token } = exchange;
  const wrapTtlMs = request.wrapTtlMs ?? 0;
  const kept = exchange.services?.auditedHeaders.of(request.headers);
  return {
    id: exchange.id,
    operation: exchange.capability ?? (exchange.verb === 'write' ? 'update' : exchange.verb),
    path: exchange.path.text,
    remoteAddress: request.remote.address,
    remotePort: request.remote.port,
    ...(mount === undefined ? {} : { mount: auditedMount(mount, mount === exchange.core.system) }),
    ...(request.token === undefined ? {} : { clientToken: request.token }),
    ...(token === undefined ? {} : { clientTokenAccessor: token.accessor }),
    ...(Object.keys(exchange.data).length === 0 ? {} : { data: exchange.data as Json }),
    ...(wrapTtlMs > 0 ? { wrapTtlMs } : {}),
    ...(kept === undefined ? {} : { headers: kept.headers, clearHeaders: kept.clear }),
  };
}

/**
 * Who asks, and by which right: one object for a token with an authority and the rule that decided, so that a device can keep
 * what it writes of it for as long as all three stand. The token itself is in the request.
 */
function auditedAuth(exchange: Exchange): AuditAuth | undefined {
  const { token, request, authority, decision } = exchange;
  if (token === undefined || request.token === undefined) return undefined;
  if (authority === undefined || (decision !== undefined && !decision.allowed))
    return factsOf(token, authority, decision);
  const by = decision === undefined ? NOBODY : decision.rule === 'root' ? ROOT : decision.rule;
  let kept = auditedAuths.get(authority);
  if (kept?.token !== token) {
    kept = { token, byRule: new WeakMap() };
    auditedAuths.set(authority, kept);
  }
  const known = kept.byRule.get(by);
  if (known !== undefined) return known;
  const facts = factsOf(token, authority, decision);
  kept.byRule.set(by, facts);
  return facts;
}

const NOBODY = {};
const ROOT = {};
const auditedAuths = new WeakMap<
  Authority,
  { readonly token: TokenEntry; readonly byRule: WeakMap<object, AuditAuth> }
>();

function factsOf(
  token: TokenEntry,
  authority: Authority | undefined,
  decision: Decision | undefined,
): AuditAuth {
  const facts = entryFacts(token, authority?.identityPolicies ?? []);
  if (decision === undefined) return facts;
  const granting = !decision.allowed ? [] : decision.rule === 'root' ? ['root'] : decision.rule.policies;
  return {
    ...facts,
    policyResults: {
      allowed: decision.allowed,
      granting: granting.map((name) => ({ name, type: 'acl' })),
    },
  };
}

const entryFacts = (token: TokenEntry, identityPolicies: readonly string[]): AuditAuth => ({
  accessor: token.accessor,
  displayName: token.displayName,
  policies: united(token.policies, identityPolicies),
  tokenPolicies: token.policies,
  ...(identityPolicies.length === 0 ? {} : { identityPolicies }),
  metadata: token.meta,
  entityId: token.entityId,
  tokenType: token.type ?? 'service',
  tokenTtlMs: token.ttlMs,
  issuedAt: timestamp(token.createdAt),
});

function auditedResponse(exchange: Exchange): AuditResponse {
  const { reply, auth, wrap: wrapInfo } = exchange;
  const data = reply !== undefined && 'data' in reply ? (reply.data as Json | undefined) : undefined;
  const lease = reply !== undefined && 'lease' in reply ? reply.lease : undefined;
  return {
    ...(auth === undefined
      ? {}
      : {
          auth: {
            clientToken: auth.token,
            accessor: auth.accessor,
            policies: united(auth.policies, auth.identityPolicies),
            tokenPolicies: auth.policies,
            ...(auth.identityPolicies.length === 0 ? {} : { identityPolicies: auth.identityPolicies }),
            metadata: auth.metadata,
            entityId: auth.entityId,
            ...(exchange.entityCreated ? { entityCreated: true } : {}),
            tokenType: auth.type,
            tokenTtlMs: auth.leaseMs,
          },
        }),
    ...(data === undefined || wrapInfo !== undefined ? {} : { data }),
    ...(reply !== undefined && 'text' in reply ? { lasting: true } : {}),
    ...(lease === undefined || lease.id === '' ? {} : { leaseId: lease.id }),
    ...(exchange.warnings.length === 0 ? {} : { warnings: exchange.warnings }),
    ...(wrapInfo === undefined
      ? {}
      : {
          wrap: {
            token: wrapInfo.token,
            accessor: wrapInfo.accessor,
            ttlMs: wrapInfo.ttlMs,
            createdAt: timestamp(wrapInfo.createdAt),
            path: wrapInfo.path,
            ...(wrapInfo.wrappedAccessor === undefined ? {} : { wrappedAccessor: wrapInfo.wrappedAccessor }),
          },
        }),
  };
}

const isEmptyList = (data: unknown): boolean => {
  if (data === undefined || data === null || typeof data !== 'object') return true;
  const keys = (data as { keys?: unknown }).keys;
  const others = Object.keys(data).some((name) => name !== 'keys');
  return !others && (keys === undefined || (Array.isArray(keys) && keys.length === 0));
};

/** What zod found, by field; it names fields and types, never what was sent. */
function reasonOf(error: z.ZodError): string {
  const [first] = error.issues;
  if (first === undefined) return 'the request is not valid';
  const field = first.path.join('.');
  return field === '' ? first.message : `field "${field}": ${first.message}`;
}

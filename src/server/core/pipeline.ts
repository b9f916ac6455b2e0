/**
 * What happens to a request, in this order and no other: the array below is the security order of the server. Each step is
 * a function over the exchange; the first that fails stops all that follow but for the two that write the audit trail.
 */

import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { utf8 } from '../../base/bytes.ts';
import { inCidrs } from '../../base/cidr.ts';
import { asFailure, type Failure, failure, isFailure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import { asFolder, asLeaf, type Path, parsePath } from '../../base/path.ts';
import { after, type Soon } from '../../base/soon.ts';
import type { Operation, Reply } from '../../plugin/plugin.ts';
import type { Acl, AclRequest, Decision } from '../auth/acl.ts';
import type { TokenEntry } from '../auth/tokens.ts';
import { auditedAuth, auditedRequest, auditedResponse } from './audited.ts';
import { authorityOf } from './authority.ts';
import { bytesOf, membersOf, NO_MEMBERS, streamOf } from './body.ts';
import type { Core, Services } from './core.ts';
import { envelopeText } from './envelope.ts';
import { Exchange, ExchangeCall } from './exchange.ts';
import { makeToken } from './grant.ts';
import { helpOf } from './help.ts';
import { gathered, isPaged, streamed } from './listing.ts';
import { Lead } from './mounts.ts';
import type { Answer, Envelope, Request } from './request.ts';
import { changesRights } from './rightschanges.ts';
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

/** Answers a request: at once where no step had to wait. Never throws: what went wrong is an answer too. */
export const answer = (core: Core, request: Request): Soon<Answer> =>
  answerOf(new Exchange(core, request, randomUUID()));

/** As `answer`, for who wants to know more of the exchange than its answer. It is good for one. @param told hears that it stands */
export const answerOf = (exchange: Exchange, told?: (answer: Answer) => void): Soon<Answer> =>
  runFrom(exchange, 0, told);

/** Runs the steps from the one at `first` on. */
function runFrom(exchange: Exchange, first: number, told?: (answer: Answer) => void): Soon<Answer> {
  for (let at = first; at < ORDER.length; at++) {
    const step = ORDER[at] as Step;
    if (exchange.problem !== undefined && step.always === undefined) continue;
    try {
      const pending = step.run(exchange);
      if (pending instanceof Promise) {
        if (exchange.unrecorded) recordMeanwhile(exchange);
        return pending.then(
          () => runFrom(exchange, at + 1, told),
          (error: unknown) => {
            note(exchange, step, error);
            return runFrom(exchange, at + 1, told);
          },
        );
      }
    } catch (error) {
      note(exchange, step, error);
    }
  }
  return after(finish(exchange), () => {
    const given: Answer =
      exchange.problem === undefined
        ? (exchange.answer ?? DONE)
        : { kind: 'failed', failure: exchange.problem };
    told?.(given);
    return given;
  });
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
  const { path } = request;
  // That answers while the server is sealed, too.
  const lead = path.text.startsWith('sys/') ? new Lead(core.system, path) : services?.mounts.lead(path);
  const match = lead?.match;
  if (services === undefined && match?.route.sealed !== true && !isOpenMetrics(exchange))
    throw failure(core.initialized() ? 'server.sealed' : 'server.uninitialized');
  // Whatever else lies at that path was not asked for by its one name.
  if (request.opaque === true && (match?.route.opaque !== true || match.route.access !== 'public'))
    throw failure('path.not_canonical', { reason: 'it holds an encoded slash, backslash or NUL' });
  exchange.lead = lead;
  exchange.mount = lead?.mount;
  if (lead === undefined || match === undefined) {
    // Told only after policy allowed to ask: else a stranger could find out what is mounted where.
    exchange.nowhere =
      lead === undefined
        ? failure('request.no_handler', { path: path.text })
        : failure('request.unsupported_path');
    return;
  }
  exchange.match = match;
  exchange.path = lead.path;
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
  const shown =
    request.token === undefined ? undefined : services.tokens.lookup(request.token, request.sender);
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
  const { acl, capability, path, request } = exchange;
  const access = accessOf(exchange);
  if (access !== 'public') {
    if (acl === undefined) throw failure('request.denied');
    if (capability !== undefined) {
      const decision = decided(exchange, acl, capability, access === 'sudo');
      exchange.decision = decision;
      if (!decision.allowed) throw failure('request.denied');
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

/** What the rules say; of a path that is asked for again under the same rules, with nothing else to judge, as they said before. */
function decided(
  { lead, path, data, request, match }: Exchange,
  acl: Acl,
  capability: AclRequest['capability'],
  sudo: boolean,
): Decision {
  const wrapTtlMs = request.wrapTtlMs ?? 0;
  const isPlain = lead?.state !== undefined && data === NO_MEMBERS && wrapTtlMs === 0;
  if (isPlain && lead.judge === acl.mark && lead.capability === capability && lead.decision !== undefined)
    return lead.decision;
  let decision = acl.decide({ path, capability, sudo, parameters: data, wrapTtlMs });
  if (decision.allowed && isDeniedUnderOtherName(acl, path, capability, match?.route.caseless))
    decision = { allowed: false, reason: 'it is denied under another name' };
  if (isPlain) {
    lead.judge = acl.mark;
    lead.capability = capability;
    lead.decision = decision;
  }
  return decision;
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
  const { services, problem } = exchange;
  if (services === undefined || isUnaudited(exchange) || !services.audit.enabled) return;
  if (isUnrecorded(problem, services)) return;
  // Nothing comes of it but an answer, and that waits for both lines: so they can be written together.
  if (exchange.operation?.effect === 'none' && problem === undefined) exchange.unrecorded = true;
  else return record(exchange, services);
}

const record = (exchange: Exchange, { audit }: Services): Promise<void> =>
  audit.record('request', {
    request: auditedRequest(exchange),
    auth: auditedAuth(exchange),
    response: undefined,
    error: exchange.problem?.message,
    clear: exchange.mount?.clear,
  });

/** The operation has to wait: what it is asked is written now, whatever becomes of it. */
function recordMeanwhile(exchange: Exchange): void {
  exchange.unrecorded = false;
  const recorded = record(exchange, exchange.open());
  recorded.catch(() => undefined);
  exchange.recorded = recorded;
}

/** A flood that a quota turns away must not fill the trail's disk, unless somebody asked for that. */
const isUnrecorded = (problem: Failure | undefined, { quotas }: Services): boolean =>
  isFailure(problem, 'quota.exceeded') && !quotas.config.auditRefused;

function validate(exchange: Exchange): void {
  const { operation, match, request, data, lead } = exchange;
  if (operation === undefined || match === undefined || request.help === true) return;
  if (lead?.operation === operation && data === NO_MEMBERS) {
    exchange.input = lead.input;
    return;
  }
  const given: Record<string, unknown> =
    operation.body === 'bytes'
      ? { ...match.params, body: bytesOf(request) }
      : operation.body === 'stream'
        ? { ...match.params, body: streamOf(request) }
        : data === NO_MEMBERS
          ? match.params
          : { ...data, ...match.params };
  const read = operation.input.safeParse(given);
  if (!read.success) throw failure('request.invalid', { reason: reasonOf(read.error) });
  exchange.input = read.data;
  if (given !== match.params || lead?.state === undefined) return;
  lead.operation = operation;
  lead.input = Object.freeze(read.data);
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
    if (!('raw' in reply) && reply.warnings !== undefined) exchange.warn(reply.warnings);
    if (
      exchange.mount !== undefined &&
      changesRights(exchange.mount.entry, match.route, operation, exchange.path)
    )
      exchange.services?.rights.changed();
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
  // Sealed meanwhile: its devices are closed, and what cannot be recorded may not leave.
  if (services.ended.aborted) throw failure('server.sealed');
  const { recorded } = exchange;
  const answered = services.audit.record(exchange.unrecorded ? 'both' : 'response', {
    request: auditedRequest(exchange),
    auth: auditedAuth(exchange),
    response: exchange.problem === undefined ? auditedResponse(exchange) : undefined,
    error: exchange.problem?.message,
    clear: mount?.clear,
  });
  exchange.unrecorded = false;
  return recorded === undefined ? answered : answered.then(() => recorded);
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

function envelopeOf({ id, mount, operation, reply, warnings, auth, wrap: wrapped }: Exchange): Envelope {
  const told = reply !== undefined && !('auth' in reply || 'raw' in reply) ? reply : undefined;
  return {
    requestId: id,
    mountType: mount?.entry.type ?? '',
    flat: operation?.flat ?? false,
    data: told?.data,
    lasting: told?.lasting,
    lease: told?.lease,
    warnings: warnings.length === 0 ? undefined : warnings,
    auth,
    wrap: wrapped,
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

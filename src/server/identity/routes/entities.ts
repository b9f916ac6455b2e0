/** entity, entity-alias: who callers are. */

import { z } from 'zod';
import { failure } from '../../../base/errors.ts';
import { flag } from '../../../base/schema.ts';
import { type Operation, operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import type { Entity } from '../records.ts';
import type { IdentityStore } from '../store.ts';
import {
  aliasInfo,
  aliasInfoText,
  aliasOutput,
  aliasText,
  entityInfo,
  entityInfoText,
  entityOutput,
  entityText,
} from '../texts.ts';
import { byId, byName, given, items, nothing, pairs, placeOutput, text } from './fields.ts';

type Identity = () => IdentityStore;

const entityFields = z.object({
  id: text,
  name: text,
  metadata: pairs,
  policies: items,
  disabled: flag().nullish(),
});
const created = z.object({ id: z.string(), name: z.string(), aliases: z.array(z.string()).nullable() });

export function entityRoutes(identity: Identity): Route[] {
  const write = (summary: string): Operation =>
    operation({
      summary,
      input: entityFields,
      output: created,
      effect: 'write',
      async run(fields) {
        const { entity, created: isNew } = await identity().entities.write(given(fields));
        return isNew ? { data: { id: entity.id, name: entity.name, aliases: null } } : {};
      },
    });
  return [
    { path: 'entity', operations: { write: write('Make an entity, or change the one of the id or name.') } },
    {
      path: 'entity/id/:id',
      operations: {
        read: operation({
          summary: 'Read an entity.',
          input: byId,
          output: entityOutput,
          effect: 'none',
          run: async ({ id }) => entityReply(identity(), await identity().entities.byId(id)),
        }),
        write: write('Change an entity; fields left out stay as they are.'),
        delete: operation({
          summary: 'Delete an entity; its tokens are refused from then on.',
          input: byId,
          output: nothing,
          effect: 'write',
          async run({ id }) {
            await identity().entities.delete({ id });
            return {};
          },
        }),
      },
    },
    {
      path: 'entity/name/*name',
      caseless: true,
      operations: {
        read: operation({
          summary: 'Read an entity by its name.',
          input: byName,
          output: entityOutput,
          effect: 'none',
          run: async ({ name }) => entityReply(identity(), await identity().entities.byName(name)),
        }),
        write: write('Make the entity of this name, or change it.'),
        delete: operation({
          summary: 'Delete an entity by its name; its tokens are refused from then on.',
          input: byName,
          output: nothing,
          effect: 'write',
          async run({ name }) {
            await identity().entities.delete({ name });
            return {};
          },
        }),
      },
    },
    ...entityLists(identity),
    ...bulkRoutes(identity),
    ...aliasRoutes(identity),
  ];
}

/** What is told of an entity, or of none. */
export async function entityReply(
  identity: IdentityStore,
  entity: Entity | undefined,
): Promise<Reply<z.input<typeof entityOutput>>> {
  const resolved = entity && (await identity.resolve(entity.id));
  return resolved === undefined ? {} : { data: entityText(resolved, identity.mountOf) };
}

function entityLists(identity: Identity): Route[] {
  return [
    {
      path: 'entity/id',
      operations: {
        list: operation({
          summary: 'The ids of the entities, with their names and aliases.',
          input: nothing,
          output: z.object({ keys: z.array(z.string()), key_info: z.record(z.string(), entityInfo) }),
          effect: 'none',
          async run() {
            const keys: string[] = [];
            const info: Record<string, z.input<typeof entityInfo>> = {};
            for await (const entity of identity().entities.all()) {
              keys.push(entity.id);
              info[entity.id] = entityInfoText(entity, identity().mountOf);
            }
            return keys.length === 0 ? {} : { data: { keys, key_info: info } };
          },
        }),
      },
    },
    {
      path: 'entity/name',
      operations: {
        list: operation({
          summary: 'The names of the entities.',
          input: nothing,
          output: z.object({ keys: z.array(z.string()) }),
          effect: 'none',
          async run() {
            const keys: string[] = [];
            for await (const { name } of identity().entities.all()) keys.push(name);
            return keys.length === 0 ? {} : { data: { keys } };
          },
        }),
      },
    },
  ];
}

function bulkRoutes(identity: Identity): Route[] {
  return [
    {
      path: 'entity/batch-delete',
      operations: {
        write: operation({
          summary: 'Delete entities; ids that are none are passed over.',
          input: z.object({ entity_ids: items }),
          output: nothing,
          effect: 'write',
          async run({ entity_ids }) {
            if (entity_ids == null || entity_ids.length === 0)
              throw failure('request.invalid', { reason: 'missing entity ids to delete' });
            for (const id of new Set(entity_ids)) await identity().entities.delete({ id });
            return {};
          },
        }),
      },
    },
    {
      path: 'entity/merge',
      operations: {
        write: operation({
          summary: 'Make one entity of several.',
          input: z.object({
            to_entity_id: text,
            from_entity_ids: items,
            conflicting_alias_ids_to_keep: items,
            // It decides between MFA secrets, of which there are none here.
            force: flag().nullish(),
          }),
          output: nothing,
          effect: 'write',
          async run({ to_entity_id: to, from_entity_ids: from, conflicting_alias_ids_to_keep: keep }) {
            if (to == null || to === '')
              throw failure('request.invalid', { reason: 'missing entity id to merge to' });
            if (from == null || from.length === 0)
              throw failure('request.invalid', { reason: 'missing entity ids to merge from' });
            await identity().merge({ to, from, keep: keep ?? [] });
            return {};
          },
        }),
      },
    },
  ];
}

const aliasFields = z.object({
  id: text,
  name: text,
  mount_accessor: text,
  canonical_id: text,
  /** The older name of `canonical_id`. */
  entity_id: text,
  custom_metadata: pairs,
});

function aliasRoutes(identity: Identity): Route[] {
  const write = (summary: string): Operation =>
    operation({
      summary,
      input: aliasFields,
      output: placeOutput,
      effect: 'write',
      async run({ id, name, mount_accessor, canonical_id, entity_id, custom_metadata }) {
        const place = await identity().writeAlias(
          given({
            id,
            name,
            mountAccessor: mount_accessor,
            canonicalId: canonical_id || entity_id,
            customMetadata: custom_metadata,
          }),
        );
        return place === undefined ? {} : { data: { id: place.id, canonical_id: place.canonicalId } };
      },
    });
  return [
    { path: 'entity-alias', operations: { write: write('Make an alias of an entity, or change it.') } },
    {
      path: 'entity-alias/id/:id',
      operations: {
        read: operation({
          summary: 'Read an alias.',
          input: byId,
          output: aliasOutput,
          effect: 'none',
          async run({ id }) {
            const owned = await identity().entities.aliasById(id);
            return owned === undefined ? {} : { data: aliasText(owned, identity().mountOf) };
          },
        }),
        write: write('Change an alias; fields left out stay as they are.'),
        delete: operation({
          summary: 'Delete an alias; the entity stays.',
          input: byId,
          output: nothing,
          effect: 'write',
          async run({ id }) {
            await identity().entities.deleteAlias(id);
            return {};
          },
        }),
      },
    },
    {
      path: 'entity-alias/id',
      operations: {
        list: operation({
          summary: 'The ids of the aliases, with what they are aliases of.',
          input: nothing,
          output: z.object({ keys: z.array(z.string()), key_info: z.record(z.string(), aliasInfo) }),
          effect: 'none',
          async run() {
            const info: Record<string, z.input<typeof aliasInfo>> = {};
            for await (const { id, aliases } of identity().entities.all())
              for (const alias of aliases)
                info[alias.id] = aliasInfoText({ alias, canonicalId: id }, identity().mountOf);
            const keys = Object.keys(info).sort();
            return keys.length === 0 ? {} : { data: { keys, key_info: info } };
          },
        }),
      },
    },
  ];
}

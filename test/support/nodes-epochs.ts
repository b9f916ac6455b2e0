/** Which node wrote to the database under which epoch: a trigger of the test notes each change of the state row, in its order. */

import type pg from 'pg';

/** One change of the state row. */
export interface Turn {
  /** By the clock of the database, in milliseconds of the wall clock. */
  readonly at: number;
  readonly epoch: { readonly before: number; readonly after: number };
  readonly turn: { readonly before: number; readonly after: number };
  readonly head: { readonly before: number; readonly after: number };
  /** Who leads by the row, after it. */
  readonly leader: string | undefined;
  /** The address whose connection made the change. */
  readonly from: string;
}

const STATE = 'holdfast_store_state';

/** Notes every change from now on. */
export async function watchEpochs(admin: pg.Client): Promise<void> {
  await admin.query(`
    CREATE TABLE turns (
      place bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
      epoch_before bigint, epoch_after bigint, turn_before bigint, turn_after bigint,
      head_before bigint, head_after bigint, leader text, sender inet DEFAULT inet_client_addr());
    CREATE FUNCTION note_turn() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO turns (epoch_before, epoch_after, turn_before, turn_after, head_before, head_after, leader)
        VALUES (OLD.epoch, NEW.epoch, OLD.turn, NEW.turn, OLD.head, NEW.head, NEW.leader_id);
        RETURN NULL;
      END $$;
    CREATE TRIGGER note_turn AFTER UPDATE ON ${STATE} FOR EACH ROW EXECUTE FUNCTION note_turn();`);
}

/** All that was noted, in the order in which the row was held. */
export async function turnsOf(admin: pg.Client): Promise<Turn[]> {
  const { rows } = await admin.query<Record<string, string | null>>(
    `SELECT extract(epoch FROM at) * 1000 AS at, epoch_before, epoch_after, turn_before, turn_after, head_before, head_after,
       leader, host(sender) AS sender
     FROM turns ORDER BY place`,
  );
  const pair = (row: Record<string, string | null>, name: string) => ({
    before: Number(row[`${name}_before`]),
    after: Number(row[`${name}_after`]),
  });
  return rows.map((row) => ({
    at: Number(row['at']),
    epoch: pair(row, 'epoch'),
    turn: pair(row, 'turn'),
    head: pair(row, 'head'),
    leader: row['leader'] ?? undefined,
    from: row['sender'] ?? '',
  }));
}

export interface Epochs {
  readonly commits: number;
  /** Each epoch that began while it was watched, with who took it. */
  readonly begun: readonly { readonly epoch: number; readonly from: string; readonly at: number }[];
  /** A sentence for each change that two leaders, or none, would explain. */
  readonly wrong: readonly string[];
}

/** What the changes say of who led: each epoch is one node's, and none comes back. */
export function judgeEpochs(turns: readonly Turn[]): Epochs {
  const wrong: string[] = [];
  const begun: { epoch: number; from: string; at: number }[] = [];
  const owners = new Map<number, string>();
  let commits = 0;
  let last: Turn | undefined;
  for (const turn of turns) {
    const { epoch, head, from, leader, at } = turn;
    const say = (what: string): number => wrong.push(`${from} under epoch ${epoch.after} at ${at}: ${what}`);
    if (last !== undefined && (last.epoch.after !== epoch.before || last.turn.after !== turn.turn.before))
      say('the row was another before it than after the change before');
    if (epoch.after < epoch.before) say(`an epoch after ${epoch.before}`);
    if (epoch.after > epoch.before) begun.push({ epoch: epoch.after, from, at });
    const owner = owners.get(epoch.after);
    if (owner === undefined) owners.set(epoch.after, from);
    else if (owner !== from) say(`the epoch is of ${owner}`);
    if (head.after < head.before) say('revisions go back');
    if (head.after > head.before) {
      commits++;
      if (epoch.after !== epoch.before) say('a commit that begins an epoch');
      if (leader === undefined) say('a commit while nobody leads');
      if (turn.turn.after <= turn.turn.before) say('a commit that takes no turn');
    }
    last = turn;
  }
  return { commits, begun, wrong };
}

-- The head of a subject is its first waiting message, and the only one that a lease looks for. So a
-- lease costs the same, however many messages wait behind the heads. Triggers keep the mark, because
-- the previous release writes this table as well while a release is exchanged.
--
-- Promise: the first waiting message of each subject is a head. More than one head of a subject is
-- possible, for messages that two transactions wrote at the same time.
--
-- The plans must not depend on statistics, which are missing after a sudden backlog. A search within a
-- subject asks for `id + 0`, which the index outbox_subjects alone has: asked for `id`, the planner may
-- take the primary key, and read all other subjects. A search by id asks for no state, so that the
-- primary key is the only index.
ALTER TABLE outbox ADD COLUMN is_head boolean NOT NULL DEFAULT false;    -- never true of a dead one

UPDATE outbox
   SET is_head = true
 WHERE id IN (
           SELECT min(id)
             FROM outbox
            WHERE state = 'waiting'
            GROUP BY lane, subject
       );

-- While a backlog drains, each search passes the entries of deleted rows, so vacuum them soon and at once.
ALTER TABLE outbox SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_index_cleanup = on
);

-- A message that comes is no head if another one waits before it. That one cannot be deleted, or
-- become a dead letter, before this transaction has ended, so its end will find this message. If it
-- is ending just now, this message is a head.
CREATE FUNCTION place_in_outbox() RETURNS trigger LANGUAGE plpgsql
    SET enable_sort = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    PERFORM
       FROM outbox
      WHERE lane = NEW.lane
        AND subject = NEW.subject
        AND state = 'waiting'
        AND id + 0 < NEW.id
      ORDER BY id + 0 DESC
      LIMIT 1
        FOR KEY SHARE SKIP LOCKED;
    NEW.is_head := NOT FOUND;
    RETURN NEW;
END
$$;

CREATE TRIGGER outbox_comes BEFORE INSERT ON outbox
    FOR EACH ROW WHEN (NEW.state = 'waiting') EXECUTE FUNCTION place_in_outbox();

-- When a head is delivered, or becomes a dead letter, the next message is the head. It is due from
-- now on and not since long ago, so that subjects take turns. If the next one has gone as well by
-- the time its lock is free, the one after it is looked for.
CREATE FUNCTION follow_in_outbox() RETURNS trigger LANGUAGE plpgsql
    SET enable_sort = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE next_id bigint;
BEGIN
    LOOP
        SELECT id
          INTO next_id
          FROM outbox
         WHERE lane = OLD.lane
           AND subject = OLD.subject
           AND state = 'waiting'
           AND id + 0 > OLD.id
         ORDER BY id + 0
         LIMIT 1;
        EXIT WHEN NOT FOUND;
        UPDATE outbox
           SET is_head = true,
               due_at = greatest(due_at, now())
         WHERE id = next_id
           AND state <> 'dead';
        EXIT WHEN FOUND;
    END LOOP;
    RETURN NULL;
END
$$;

CREATE TRIGGER outbox_goes AFTER DELETE ON outbox
    FOR EACH ROW WHEN (OLD.is_head) EXECUTE FUNCTION follow_in_outbox();

-- A message that dies waits for the transactions that have seen it before a message of their own.
CREATE FUNCTION bury_in_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM outbox WHERE id = NEW.id FOR UPDATE;
    NEW.is_head := false;
    RETURN NEW;
END
$$;

CREATE TRIGGER outbox_dies BEFORE UPDATE OF state ON outbox
    FOR EACH ROW WHEN (OLD.state = 'waiting' AND NEW.state = 'dead') EXECUTE FUNCTION bury_in_outbox();

CREATE TRIGGER outbox_is_dead AFTER UPDATE OF state ON outbox
    FOR EACH ROW WHEN (OLD.is_head AND NOT NEW.is_head) EXECUTE FUNCTION follow_in_outbox();

-- A dead letter that is replayed keeps its place: what waits behind it is no head.
CREATE FUNCTION precede_in_outbox() RETURNS trigger LANGUAGE plpgsql
    SET enable_sort = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    UPDATE outbox
       SET is_head = false
     WHERE id = (
               SELECT id
                 FROM outbox
                WHERE lane = NEW.lane
                  AND subject = NEW.subject
                  AND state = 'waiting'
                  AND id + 0 > NEW.id
                ORDER BY id + 0
                LIMIT 1
           );
    RETURN NULL;
END
$$;

CREATE TRIGGER outbox_returns BEFORE UPDATE OF state ON outbox
    FOR EACH ROW WHEN (OLD.state = 'dead' AND NEW.state = 'waiting') EXECUTE FUNCTION place_in_outbox();

CREATE TRIGGER outbox_has_returned AFTER UPDATE OF state ON outbox
    FOR EACH ROW WHEN (OLD.state = 'dead' AND NEW.state = 'waiting') EXECUTE FUNCTION precede_in_outbox();

-- Wakes the lanes that have a head which is due; other messages wait for theirs.
CREATE OR REPLACE FUNCTION notify_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('outbox', lane)
       FROM (SELECT DISTINCT lane FROM added WHERE is_head AND due_at <= now()) AS due;
    RETURN NULL;
END
$$;

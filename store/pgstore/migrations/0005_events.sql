-- Events for the application. A stream is the sequence of rows of event_log that one lane of one process has written:
-- seq counts them from 1, without gaps, in the order of their commits. So writers never wait for each other. The rows
-- of a stream may lie in several slots, because a row is in the slot of its transaction. An empty row takes the place
-- of a transaction that was rolled back after its COMMIT was not confirmed.

-- +goose Up
-- The row of the batch's latest event; NULL if it has none. A batch may have events in several streams.
ALTER TABLE batch ADD COLUMN event_stream bigint, ADD COLUMN event_seq bigint;

-- token is that of the process in table replica; empty for a stream that its process has given up. home is the slot of
-- all rows, or -1 if they lie in several slots. The rows up to trimmed are deleted; trimmed_total is how many events
-- they had. The row with id 0 is no stream: its trimmed_total is how many events the streams had that are deleted.
CREATE TABLE event_stream (
    id            bigint PRIMARY KEY,
    token         text COLLATE "C" NOT NULL,
    home          smallint NOT NULL,
    trimmed       bigint NOT NULL,
    trimmed_total bigint NOT NULL
) WITH (fillfactor = 30);

-- newest is the time of the row's newest event. events is the number of its events, total that of the stream's events
-- up to and including this row. deps lists the rows of other streams with earlier events of the same batches. row is
-- compressed; size is its size in bytes before.
CREATE TABLE event_log (
    slot   smallint NOT NULL,
    stream bigint NOT NULL,
    seq    bigint NOT NULL,
    newest timestamptz NOT NULL,
    events integer NOT NULL,
    total  bigint NOT NULL,
    size   integer NOT NULL,
    deps   bytea,
    row    bytea NOT NULL,
    PRIMARY KEY (slot, stream, seq)
);

-- The progress of the destinations. deferred and dead count the rows of deferred_event. The row of a deleted
-- destination stays, so that the epoch of a new one with the same name is larger.
CREATE TABLE destination (
    name      text COLLATE "C" PRIMARY KEY,
    place     text NOT NULL, -- the cursor
    epoch     bigint NOT NULL,
    paused_at timestamptz,
    last_id   bigint NOT NULL,
    deferred  bigint NOT NULL,
    dead      bigint NOT NULL,
    deleted   boolean NOT NULL DEFAULT false
) WITH (fillfactor = 30);

-- requeued_at is when a dead event was requeued, which is then its due time; row is still that of the dead event.
CREATE TABLE deferred_event (
    name        text COLLATE "C" NOT NULL,
    id          bigint NOT NULL,
    dead        boolean NOT NULL,
    since       timestamptz NOT NULL,
    requeued_at timestamptz,
    row         bytea NOT NULL,
    PRIMARY KEY (name, id)
);
CREATE INDEX deferred_event_waiting ON deferred_event (name, id) WHERE NOT dead;
CREATE INDEX deferred_event_dead ON deferred_event (name, id) WHERE dead;

-- +goose Down
DROP TABLE deferred_event, destination, event_log, event_stream;
ALTER TABLE batch DROP COLUMN event_seq, DROP COLUMN event_stream;

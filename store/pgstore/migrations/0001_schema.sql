-- The slot is the first column of every key: a stable hash of plan and batch id, modulo meta.slots. All rows of a
-- batch are in one slot, so a commit of one batch stays in that slot. Every index except the primary key is partial,
-- so that only the statements it is meant for can use it: otherwise a plan made while the table was small, and kept,
-- could look up a primary key in any index that starts with the slot. Keys are compared by bytes. The program passes
-- all times, in UTC.

-- +goose Up
CREATE TABLE meta (
    id    smallint PRIMARY KEY CHECK (id = 1),
    slots integer NOT NULL CHECK (slots BETWEEN 1 AND 1024),
    salt  bytea NOT NULL
);

-- first_at is NULL in a row that a running transaction has just inserted and not yet filled, and in a hidden batch
-- (gone): retention is deleting its rows, and new arrivals wait until they are deleted. The microseconds of first_at
-- order batches that were first seen in the same millisecond. reference is the first 16 bytes of the SHA-256 of the
-- client reference.
CREATE TABLE batch (
    slot        smallint NOT NULL,
    plan        text COLLATE "C" NOT NULL,
    batch_id    text COLLATE "C" NOT NULL,
    chunk       bigint NOT NULL DEFAULT 0,
    first_at    timestamptz,
    last_at     timestamptz,
    reference   bytea,
    due         timestamptz,
    dead        boolean NOT NULL DEFAULT false,
    check_due   timestamptz,
    check_minute timestamptz, -- check_due cut to the minute; indexed, as check_due changes with each report
    lease       text,
    lease_until timestamptz,
    gone        boolean NOT NULL DEFAULT false,
    row         bytea,
    PRIMARY KEY (slot, plan, batch_id)
) WITH (fillfactor = 70);
CREATE INDEX batch_first ON batch (slot, first_at, plan, batch_id) WHERE first_at IS NOT NULL;
CREATE INDEX batch_plan ON batch (slot, plan, first_at, batch_id) WHERE first_at IS NOT NULL;
CREATE INDEX batch_reference ON batch (slot, reference, first_at, plan, batch_id) WHERE reference IS NOT NULL;
CREATE INDEX batch_due ON batch (slot, plan, due, batch_id) WHERE due IS NOT NULL;
CREATE INDEX batch_dead ON batch (slot, plan, batch_id) WHERE dead;
CREATE INDEX batch_check ON batch (slot, plan, check_minute) WHERE check_minute IS NOT NULL;
CREATE INDEX batch_gone ON batch (slot, plan, batch_id) WHERE gone;

-- first_at is that of the batch; it orders the batches of a number. day is the number of days from 1970-01-01 to
-- first_at, in UTC. It leads the index, so that inserts touch one part of the index and retention empties whole
-- pages. A search for a number visits each day. hash is the first 4 bytes of the SHA-256 of the digits.
CREATE TABLE recipient (
    slot     smallint NOT NULL,
    plan     text COLLATE "C" NOT NULL,
    batch_id text COLLATE "C" NOT NULL,
    digits   text COLLATE "C" NOT NULL,
    first_at timestamptz NOT NULL,
    day      integer NOT NULL,
    hash     integer,
    feedback smallint NOT NULL,
    status   text NOT NULL,
    row      bytea NOT NULL,
    PRIMARY KEY (slot, plan, batch_id, digits)
) WITH (fillfactor = 70);
CREATE INDEX recipient_number ON recipient (slot, day, hash) WHERE hash IS NOT NULL;

CREATE TABLE report_log (
    slot        smallint NOT NULL,
    plan        text COLLATE "C" NOT NULL,
    batch_id    text COLLATE "C" NOT NULL,
    chunk       bigint NOT NULL,
    place       bigint NOT NULL,
    received_at timestamptz NOT NULL,
    type        text NOT NULL,
    source      smallint NOT NULL,
    raw         bytea NOT NULL,
    PRIMARY KEY (slot, plan, batch_id, chunk, place)
);

CREATE TABLE minute_count (
    slot     smallint NOT NULL,
    minute   timestamptz NOT NULL,
    plan     text COLLATE "C" NOT NULL,
    status   text COLLATE "C" NOT NULL,
    messages bigint NOT NULL,
    PRIMARY KEY (slot, minute, plan, status)
) WITH (fillfactor = 70);

CREATE TABLE total (
    slot          smallint NOT NULL,
    plan          text COLLATE "C" NOT NULL,
    batches       bigint NOT NULL,
    recipients    bigint NOT NULL,
    duplicates    bigint NOT NULL,
    polled        bigint NOT NULL,
    quarantined   bigint NOT NULL,
    pending_tasks bigint NOT NULL,
    dead_tasks    bigint NOT NULL,
    owed          bigint NOT NULL,
    dropped       bigint NOT NULL,
    sent          bigint NOT NULL,
    dead          bigint NOT NULL,
    awaited       bigint NOT NULL,
    PRIMARY KEY (slot, plan)
) WITH (fillfactor = 30);

CREATE TABLE message_total (
    slot     smallint NOT NULL,
    plan     text COLLATE "C" NOT NULL,
    status   text COLLATE "C" NOT NULL,
    class    text COLLATE "C" NOT NULL,
    messages bigint NOT NULL,
    PRIMARY KEY (slot, plan, status, class)
) WITH (fillfactor = 30);

CREATE TABLE quarantine (
    slot        smallint NOT NULL,
    received_at timestamptz NOT NULL,
    id          text COLLATE "C" NOT NULL,
    plan        text NOT NULL,
    reason      text NOT NULL,
    type        text NOT NULL,
    size        bigint NOT NULL,
    raw         bytea NOT NULL,
    PRIMARY KEY (slot, received_at, id)
);

-- +goose Down
DROP TABLE quarantine, message_total, total, minute_count, report_log, recipient, batch, meta;

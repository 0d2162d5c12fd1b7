-- replica: the processes that share the database. duty: the leader leases, for tasks that one replica does for all.
-- Both tables have few rows and no slot; a distributed database replicates them. token is unique per process.
-- Operators choose the ids, so an id may be used twice.

-- +goose Up
CREATE TABLE replica (
    token text COLLATE "C" PRIMARY KEY,
    id    text NOT NULL,
    beat  bigint NOT NULL
) WITH (fillfactor = 30);

CREATE TABLE duty (
    name       text COLLATE "C" PRIMARY KEY,
    token      text NOT NULL,
    replica    text NOT NULL,
    held_until timestamptz NOT NULL
) WITH (fillfactor = 30);

-- +goose Down
DROP TABLE duty, replica;

-- Who shares the database, and which of them does what one does for all. Both tables hold a few rows and have no slot: a
-- database that is distributed keeps them whole. A token is of one process; ids are given by people and may be given twice.

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

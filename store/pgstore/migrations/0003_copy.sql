-- The progress of an unfinished copy into this database: one row, or none. While there is a row, only the copy may
-- use the database. Like meta, the table has no slot.

-- +goose Up
CREATE TABLE copy_mark (
    id   smallint PRIMARY KEY CHECK (id = 1),
    mark bytea NOT NULL
);

-- +goose Down
DROP TABLE copy_mark;

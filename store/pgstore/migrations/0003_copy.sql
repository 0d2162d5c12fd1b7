-- How far a copy that fills the database came, as long as it is not finished: one row, or none. Nothing else may use the
-- database while there is one. Like meta, it has no slot.

-- +goose Up
CREATE TABLE copy_mark (
    id   smallint PRIMARY KEY CHECK (id = 1),
    mark bytea NOT NULL
);

-- +goose Down
DROP TABLE copy_mark;

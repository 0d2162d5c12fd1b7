-- Inbound messages. The slot is that of a batch with the plan and the id. sender and receiver are the digits of both
-- phone numbers; NULL if a number has none. As in table batch, all indexes but the primary key are partial.

-- +goose Up
CREATE TABLE inbound (
    slot       smallint NOT NULL,
    plan       text COLLATE "C" NOT NULL,
    id         text COLLATE "C" NOT NULL,
    arrived_at timestamptz NOT NULL,
    sender     text COLLATE "C",
    receiver   text COLLATE "C",
    size       bigint NOT NULL,
    raw        bytea NOT NULL,
    PRIMARY KEY (slot, plan, id)
);
CREATE INDEX inbound_time ON inbound (slot, arrived_at, plan, id) WHERE arrived_at IS NOT NULL;
CREATE INDEX inbound_plan ON inbound (slot, plan, arrived_at, id) WHERE arrived_at IS NOT NULL;
CREATE INDEX inbound_sender ON inbound (slot, sender, arrived_at, plan, id) WHERE sender IS NOT NULL;
CREATE INDEX inbound_receiver ON inbound (slot, receiver, arrived_at, plan, id) WHERE receiver IS NOT NULL;

-- +goose Down
DROP TABLE inbound;

-- The answer to each message that the center's mailbox brought and that had an effect, sealed, for ever: it travels, so that
-- a rebuilt box does not carry a message out again.
create table mailbox_answers (
    id text primary key not null,
    fingerprint text not null,
    status integer not null,
    answer_sealed text not null,
    created_at integer not null
) strict, without rowid;

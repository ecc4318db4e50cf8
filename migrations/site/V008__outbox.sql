-- Every change of a travelling table, in commit order, written by triggers (sync/src/capture.rs). `seq` is contiguous: the
-- newest row is never deleted, so the next one is always the largest plus one.
create table outbox (
    seq integer primary key,
    txn integer not null,
    tbl text not null,
    op text not null check (op in ('insert', 'update', 'delete')),
    pk text not null,
    image text,
    schema integer not null
) strict;

-- What this database is: one row a fact.
create table site (
    key text primary key not null,
    value text not null
) strict, without rowid;

-- What a site has to remember to send its changes to a center (sync/README.md).

-- When the change was made, milliseconds since the Unix epoch; 0 for a change from before this version.
alter table outbox add column at integer not null default 0;

-- The columns that images of a schema version have, a JSON document.
create table sync_layouts (
    schema integer primary key check (schema > 0),
    layout text not null
) strict;

-- Where the center is in this site's chain of changes. One row while the site is enrolled, none before.
create table sync_position (
    id integer primary key check (id = 1),
    epoch text not null,
    seq integer not null,
    hash text not null,
    confirmed_at integer not null,
    fenced text
) strict;

-- Places of the chain that the center has confirmed, to find any other place from.
create table sync_marks (
    seq integer primary key check (seq >= 0),
    hash text not null,
    confirmed_at integer not null
) strict;

-- Long work on the mirror that was asked for, one row each kind, so that it goes on after a restart.
create table sync_tasks (
    kind text primary key not null constraint sync_tasks_kind_known check (kind in ('repair')),
    state text not null constraint sync_tasks_state_known check (state in ('wanted', 'running', 'done', 'failed')),
    progress text not null,
    updated_at integer not null
) strict, without rowid;

-- Each start of the program, with a random word: two copies of one database differ from their first start on.
create table boots (
    id integer primary key check (id > 0),
    nonce text not null,
    version text not null,
    started_at integer not null
) strict;

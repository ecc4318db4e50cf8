create table notifications (
    id integer primary key check (id > 0),
    title text not null,
    content text not null,
    user_id integer references users (id),
    role_id integer references roles (id),
    created_at integer not null
) strict;
create index notifications_by_user on notifications (user_id, id);
create index notifications_by_role on notifications (role_id, id);

create table notification_reads (
    notification_id integer not null references notifications (id),
    user_id integer not null references users (id),
    read_at integer not null,
    primary key (notification_id, user_id)
) strict, without rowid;

create table settings (
    key text primary key not null,
    value text not null,
    updated_at integer not null
) strict, without rowid;

-- A hash chain: `hash` covers the row and the hash before it (src/store/audit.rs).
create table audit (
    id integer primary key check (id > 0),
    at integer not null,
    user_id integer,
    role text not null,
    address text,
    request_id text not null,
    action text not null,
    noun text not null,
    noun_id integer,
    before text,
    after text,
    hash text not null
) strict;
create index audit_by_time on audit (at, id);
create index audit_by_user on audit (user_id, at, id);
create index audit_by_noun on audit (noun, at, id);
create index audit_by_row on audit (noun, noun_id, at, id);
create index audit_by_action on audit (action, at, id);

-- The answer to a write that carried an Idempotency-Key, sealed, for 24 hours.
create table idempotency_keys (
    scope text not null,
    key text not null,
    fingerprint text not null,
    status integer not null,
    answer_sealed text not null,
    created_at integer not null,
    primary key (scope, key)
) strict, without rowid;
create index idempotency_keys_by_age on idempotency_keys (created_at);

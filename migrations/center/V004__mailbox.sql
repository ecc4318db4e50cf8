-- What the center asks of its sites, in order, with the answers. Every statement names one site.
-- Bodies and answers are sealed by the relay: there are telephone numbers, openids and tokens in them.
create table if not exists canshi_mailboxes (
    site_id bigint not null,
    -- The number that was given out last. Whoever adds a message locks this row first: so numbers become visible in order.
    last_no bigint not null,
    primary key (site_id)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists canshi_messages (
    site_id bigint not null,
    no bigint not null,
    id varchar(64) not null,
    -- `live`: somebody waits for the answer. `queued`: it is done even when nobody does.
    kind varchar(16) not null,
    -- `waiting`, `expired` (its time is over and the site has not been told), `done`.
    state varchar(16) not null,
    method varchar(16) not null,
    target text not null,
    body_sealed mediumtext,
    -- Tells a repeat from another request under the same id.
    fingerprint varchar(64) not null,
    on_behalf text not null,
    -- The site's user for whom it is, if it is for one.
    user_id bigint,
    received_at datetime(3) not null,
    expires_at datetime(3) not null,
    assigned_id bigint,
    -- Null in a message that is done: its time was over before it was carried out.
    status bigint,
    answer_sealed mediumtext,
    answered_at datetime(3),
    primary key (site_id, no),
    unique key canshi_messages_id (site_id, id),
    key canshi_messages_state (site_id, state, no),
    key canshi_messages_age (site_id, state, kind, received_at)
) default charset utf8mb4 collate utf8mb4_bin;

-- Counters that never go back, not even when the center comes back from an older backup: the next value is at least the
-- time in milliseconds.
create table if not exists canshi_counters (
    name varchar(64) not null,
    value bigint not null,
    primary key (name)
) default charset utf8mb4 collate utf8mb4_bin;

-- Which user of which site logs in with a WeChat account, by the keyed index of its openid.
create table if not exists canshi_wechat (
    openid_index varchar(64) not null,
    site_id bigint not null,
    user_id bigint not null,
    primary key (openid_index, site_id)
) default charset utf8mb4 collate utf8mb4_bin;

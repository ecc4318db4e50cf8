-- What the relay needs for itself: its keys, headquarters' people, and the logins of theirs and of the mini-program's.
--
-- # Decision
-- The keys are here and not in a file of the relay, because several relays work on one MySQL and each must open what another has
-- sealed and read the tokens that another has signed; a relay's machine then holds nothing that has to be kept. Whoever may read
-- `canshi_secrets` can open the sites' keys. So a person or a report that reads the mirror must be a MySQL user of its own who
-- is granted SELECT on the mirror's tables, and on none of `canshi_*`.
create table if not exists canshi_secrets (
    name varchar(64) not null,
    value text not null,
    primary key (name)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists canshi_roles (
    id bigint not null,
    name varchar(64) not null,
    title varchar(191) not null,
    built_in bigint not null,
    primary key (id),
    unique key canshi_roles_name (name)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists canshi_role_permissions (
    role_id bigint not null,
    permission varchar(64) not null,
    primary key (role_id, permission)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists canshi_users (
    id bigint not null,
    username varchar(191) not null,
    password_hash varchar(255) not null,
    name varchar(191) not null,
    role_id bigint not null,
    status varchar(16) not null,
    created_at datetime(3) not null,
    updated_at datetime(3) not null,
    primary key (id),
    unique key canshi_users_username (username)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists canshi_sessions (
    id varchar(64) not null,
    -- The site whose user it is; none is headquarters.
    site_id bigint,
    user_id bigint not null,
    -- The one token of the session that is good, and until when it may be exchanged for a new one.
    token_id varchar(64) not null,
    refreshable_until datetime(3) not null,
    created_at datetime(3) not null,
    ended_at datetime(3),
    primary key (id),
    key canshi_sessions_user (site_id, user_id),
    key canshi_sessions_old (refreshable_until)
) default charset utf8mb4 collate utf8mb4_bin;

-- Who may do what. Conventions of every table of the site:
--   `*_at`   instants, milliseconds since the Unix epoch, UTC
--   `date`, `*_date`  calendar days of the site's zone, `YYYY-MM-DD`
--   `*_fen`  money in fen
--   `contact`, `*_sealed`  sealed text, see src/store/vault.rs
--   `deleted_at`  the row is hidden, never removed, so its id is never given out again
-- Ids from 1,000,000,000,000 upward are given out by the center (DESIGN, section 3).

create table roles (
    id integer primary key check (id > 0),
    name text not null constraint roles_name_length check (length(name) between 1 and 32),
    title text not null,
    built_in integer not null default 0 constraint roles_built_in_flag check (built_in in (0, 1)),
    created_at integer not null
) strict;
create unique index roles_name_taken on roles (name);

create table role_permissions (
    role_id integer not null references roles (id),
    permission text not null,
    primary key (role_id, permission)
) strict, without rowid;

create table users (
    id integer primary key check (id > 0),
    username text not null constraint users_username_length check (length(username) between 1 and 64),
    password_hash text not null,
    role_id integer not null references roles (id),
    name text not null,
    employee_id integer references employees (id),
    customer_id integer references customers (id),
    status text not null constraint users_status_known check (status in ('active', 'inactive')),
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer
) strict;
-- A name is not given to a second person while the first row, even a hidden one, stands in the books.
create unique index users_username_taken on users (username);
create index users_by_role on users (role_id, status) where deleted_at is null;
create index users_by_status on users (status, id) where deleted_at is null;

-- Sessions live on the box that opened them; they do not travel.
create table sessions (
    id text primary key not null,
    user_id integer not null references users (id),
    token_id text not null,
    created_at integer not null,
    refreshable_until integer not null,
    ended_at integer
) strict, without rowid;
create index sessions_by_user on sessions (user_id) where ended_at is null;
create index sessions_by_end on sessions (refreshable_until);

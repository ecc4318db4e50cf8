-- The WeChat account that a user logs in with: sealed, and found by its keyed index.
alter table users add column openid text;
alter table users add column openid_index text;
create unique index users_openid_taken on users (openid_index) where openid_index is not null;
create index users_by_employee on users (employee_id, id) where employee_id is not null and deleted_at is null;
create index users_by_customer on users (customer_id, id) where customer_id is not null and deleted_at is null;

-- One-time codes that bind a WeChat account to a user, as keyed hashes. They live half an hour on the box that made them;
-- they do not travel.
create table bind_codes (
    code_hash text primary key not null,
    user_id integer not null references users (id),
    expires_at integer not null,
    used_at integer
) strict, without rowid;
create index bind_codes_by_user on bind_codes (user_id);
create index bind_codes_by_end on bind_codes (expires_at);

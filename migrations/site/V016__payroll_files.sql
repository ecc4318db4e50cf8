-- Payouts that go to the bank as a file. The file itself is not kept: its orders are, and what they say never changes.
create table payroll_files (
    id integer primary key check (id > 0),
    pay_period text,
    orders integer not null constraint payroll_files_orders_positive check (orders > 0),
    amount_fen integer not null,
    created_at integer not null,
    created_by integer references users (id)
) strict;
create index payroll_files_by_time on payroll_files (created_at, id);

create table payroll_file_orders (
    file_id integer not null references payroll_files (id),
    -- The line in the file, from 1.
    place integer not null constraint payroll_file_orders_place_positive check (place > 0),
    order_id integer not null references payment_orders (id),
    primary key (file_id, place)
) strict, without rowid;
-- A payout is in one file, ever: in two it would be paid twice.
create unique index payroll_file_orders_once on payroll_file_orders (order_id);
create index payment_orders_for_a_file on payment_orders (id) where trade = 'payroll_file' and status = 'queued';

-- What the platform was asked about a payout, and when. Its loss costs a question more, so it does not travel.
create table payout_calls (
    order_id integer primary key not null references payment_orders (id),
    -- When it was last told to pay.
    told_at integer,
    -- When it last said that it knows nothing of it.
    missing_at integer,
    -- Whether that was the last thing said to it, so that its answer is about that.
    paying integer not null default 0 constraint payout_calls_paying_flag check (paying in (0, 1)),
    -- Why it said that the last request will never do.
    refused text,
    -- Since when a person has been told that it does not come to an end.
    alarmed_at integer
) strict;

-- A payout is replaced once; what replaced it may be replaced in its turn.
create unique index payment_orders_one_replacement on payment_orders (replaces_id) where replaces_id is not null;
create index suppliers_by_contact on suppliers (contact_index) where contact_index is not null;

-- One a platform and day: what its bill says against what the books say.
create table reconciliations (
    id integer primary key check (id > 0),
    channel text not null constraint reconciliations_channel_known check (channel in ('wechat', 'alipay', 'unionpay')),
    date text not null,
    status text not null constraint reconciliations_status_known
        check (status in ('waiting', 'matched', 'different', 'resolved')),
    -- Of the bill's file; null while there is none, or when there was nothing on that day.
    sha256 text,
    rows_total integer not null,
    rows_matched integer not null,
    -- Those that are open.
    differences integer not null,
    platform_in_fen integer not null,
    platform_out_fen integer not null,
    local_in_fen integer not null,
    local_out_fen integer not null,
    fee_fen integer not null,
    last_error text,
    created_at integer not null,
    updated_at integer not null
) strict;
create unique index reconciliations_one_a_day on reconciliations (channel, date);
create index reconciliations_by_date on reconciliations (date, id);
create index reconciliations_by_status on reconciliations (status, date, id);

create table reconciliation_differences (
    id integer primary key check (id > 0),
    reconciliation_id integer not null references reconciliations (id),
    -- amount: both have it, with other amounts. platform_only, local_only: one side has it. refund, transfer: the same of these.
    class text not null constraint reconciliation_differences_class_known
        check (class in ('amount', 'platform_only', 'local_only', 'refund', 'transfer')),
    number text not null,
    platform_no text,
    platform_fen integer,
    local_fen integer,
    note text not null,
    created_at integer not null,
    resolved_at integer,
    resolved_by integer references users (id),
    resolution text
) strict;
create unique index reconciliation_differences_once on reconciliation_differences (reconciliation_id, class, number);
create index reconciliation_differences_by_day on reconciliation_differences (reconciliation_id, created_at, id);
create index reconciliation_differences_by_time on reconciliation_differences (created_at, id);
create index reconciliation_differences_open on reconciliation_differences (created_at, id) where resolved_at is null;

-- What the bills say, one a movement. It follows from the bills, so it does not travel.
create table reconciliation_lines (
    reconciliation_id integer not null references reconciliations (id),
    movement text not null constraint reconciliation_lines_movement_known
        check (movement in ('payment', 'refund', 'transfer')),
    -- The refund's for a refund, else the order's, at the platform.
    number text not null,
    platform_no text not null,
    amount_fen integer not null,
    fee_fen integer not null,
    rows integer not null,
    primary key (reconciliation_id, movement, number)
) strict, without rowid;
create index reconciliation_lines_by_number on reconciliation_lines (number, movement);

-- What was given back on a day is looked up by the day.
create index payment_refunds_by_success on payment_refunds (succeeded_at) where succeeded_at is not null;

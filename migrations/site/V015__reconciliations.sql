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
    -- amount: both have it, with other amounts. platform_only, local_only: one side has it. refund: the same of a refund. fee: the
    -- platform kept more or less than agreed.
    class text not null constraint reconciliation_differences_class_known
        check (class in ('amount', 'platform_only', 'local_only', 'refund', 'transfer', 'fee')),
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
create index reconciliation_differences_open on reconciliation_differences (created_at, id) where resolved_at is null;

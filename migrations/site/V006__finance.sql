-- Never edited, never deleted: a wrong entry is voided with a reason.
create table transactions (
    id integer primary key check (id > 0),
    type text not null constraint transactions_type_known check (type in ('income', 'expense')),
    category text not null constraint transactions_category_length check (length(category) between 1 and 32),
    amount_fen integer not null constraint transactions_amount_range check (amount_fen between 1 and 9999999999),
    description text,
    transaction_at integer not null,
    local_date text not null,
    payment_method text,
    status text not null constraint transactions_status_known check (status in ('completed', 'void')),
    related_id integer,
    related_type text,
    void_reason text,
    voided_at integer,
    voided_by integer references users (id),
    created_at integer not null,
    created_by integer references users (id)
) strict;
create index transactions_by_time on transactions (local_date, transaction_at, id);
create index transactions_by_type on transactions (type, local_date, transaction_at, id);
create index transactions_by_category on transactions (category, local_date, transaction_at, id);
create index transactions_by_method on transactions (payment_method, local_date, transaction_at, id);
create index transactions_by_related on transactions (related_type, related_id, local_date, transaction_at, id)
    where related_id is not null;

-- Kept in the transaction of each write; `canshi doctor` compares it with the rows. A report and a list's total cost what
-- these rows cost. `entries` counts voided ones too, `sum_fen` leaves them out. Derived, so it does not travel.
create table transaction_totals (
    date text not null,
    type text not null,
    category text not null,
    payment_method text not null,
    entries integer not null,
    sum_fen integer not null,
    primary key (date, type, category, payment_method)
) strict, without rowid;

create table customers (
    id integer primary key check (id > 0),
    name text not null,
    age integer constraint customers_age_range check (age between 0 and 150),
    gender text,
    contact text,
    contact_index text,
    delivery_date text,
    check_in_date text,
    check_out_date text,
    dietary_restrictions text,
    preferences text,
    status text not null constraint customers_status_known check (status in ('active', 'inactive')),
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer,
    constraint customers_stay_order check (check_out_date is null or check_in_date is null or check_out_date >= check_in_date)
) strict;
create index customers_by_status on customers (status, id) where deleted_at is null;
create index customers_visible on customers (id) where deleted_at is null;
create index customers_by_contact on customers (contact_index) where contact_index is not null;

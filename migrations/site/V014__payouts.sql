-- Whom the center buys from.
create table suppliers (
    id integer primary key check (id > 0),
    name text not null,
    -- The category that payments to it get in the books.
    category text not null,
    contact text,
    contact_index text,
    status text not null constraint suppliers_status_known check (status in ('active', 'inactive')),
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer
) strict;
create index suppliers_visible on suppliers (id) where deleted_at is null;
create index suppliers_by_status on suppliers (status, id) where deleted_at is null;

-- Where an employee or a supplier is paid: account and bank are sealed. One a method.
create table payees (
    id integer primary key check (id > 0),
    noun text not null constraint payees_noun_known check (noun in ('employees', 'suppliers')),
    noun_id integer not null,
    payment_method text not null constraint payees_method_known check (payment_method in ('wechat', 'alipay', 'bank')),
    account text not null,
    account_name text not null,
    bank_name text,
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer
) strict;
create unique index payees_one_a_method on payees (noun, noun_id, payment_method);

-- What an employee is owed for a month. A version is never changed; a later one replaces it.
create table salaries (
    id integer primary key check (id > 0),
    employee_id integer not null references employees (id),
    pay_period text not null constraint salaries_period_shape check (pay_period glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]'),
    version integer not null constraint salaries_version_positive check (version > 0),
    base_salary_fen integer not null,
    overtime_pay_fen integer not null,
    allowance_fen integer not null,
    deductions_fen integer not null,
    net_salary_fen integer not null,
    note text,
    created_at integer not null,
    created_by integer references users (id),
    constraint salaries_identity
        check (net_salary_fen = base_salary_fen + overtime_pay_fen + allowance_fen - deductions_fen)
) strict;
create unique index salaries_version on salaries (employee_id, pay_period, version);
create index salaries_by_period on salaries (pay_period, employee_id, version);

create table employees (
    id integer primary key check (id > 0),
    name text not null,
    position text not null,
    contact text,
    contact_index text,
    base_salary_fen integer constraint employees_salary_range check (base_salary_fen between 0 and 9999999999),
    joining_date text,
    status text not null constraint employees_status_known check (status in ('active', 'inactive')),
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer
) strict;
create index employees_by_position on employees (position, id) where deleted_at is null;
create index employees_by_status on employees (status, id) where deleted_at is null;
create index employees_visible on employees (id) where deleted_at is null;
create index employees_by_contact on employees (contact_index) where contact_index is not null;

-- A day of one employee, derived from its punches (src/domain/attendance.rs). A row whose punches moved to another day
-- stays, hidden, and comes back if that day gets punches again.
create table attendance (
    id integer primary key check (id > 0),
    employee_id integer not null references employees (id),
    date text not null,
    check_in_at integer,
    check_out_at integer,
    status text not null constraint attendance_status_known check (status in ('present', 'incomplete')),
    deleted_at integer
) strict;
create unique index attendance_one_a_day on attendance (employee_id, date);
create index attendance_by_date on attendance (date, employee_id) where deleted_at is null;

-- The log. Rows are only ever added.
create table punches (
    id integer primary key check (id > 0),
    employee_id integer not null references employees (id),
    type text not null constraint punches_type_known check (type in ('check_in', 'check_out')),
    effective_at integer not null,
    received_at integer not null,
    punched_at integer,
    clock_suspect integer not null constraint punches_suspect_flag check (clock_suspect in (0, 1)),
    recorded_by integer references users (id)
) strict;
create index punches_by_employee on punches (employee_id, effective_at);

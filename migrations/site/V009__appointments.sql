-- A service that a customer asks for. `date` and `time` (`HH:MM:SS`) are of the site's zone. A row is never removed: what
-- did not take place is cancelled.
create table appointments (
    id integer primary key check (id > 0),
    user_id integer not null references users (id),
    customer_id integer references customers (id),
    service_type text not null constraint appointments_service_type_length check (length(service_type) between 1 and 32),
    date text not null,
    time text not null constraint appointments_time_shape check (length(time) = 8),
    requirements text,
    status text not null constraint appointments_status_known
        check (status in ('pending', 'confirmed', 'in_progress', 'completed', 'cancelled')),
    employee_id integer references employees (id),
    reason text,
    created_at integer not null,
    updated_at integer not null,
    confirmed_at integer,
    started_at integer,
    completed_at integer,
    cancelled_at integer
) strict;
create index appointments_by_time on appointments (date, time, id);
create index appointments_by_status on appointments (status, date, time, id);
create index appointments_by_user on appointments (user_id, date, time, id);
create index appointments_by_employee on appointments (employee_id, date, time, id) where employee_id is not null;
create index appointments_by_customer on appointments (customer_id, date, time, id) where customer_id is not null;

-- Who is in house on a day, for the dashboard.
create index customers_by_stay on customers (check_in_date, check_out_date)
    where status = 'active' and deleted_at is null and check_in_date is not null;

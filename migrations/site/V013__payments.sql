-- Money in and out by way of platforms and banks (src/domain/payments.rs). A row is never removed, and `paid` is never taken back.
create table payment_orders (
    id integer primary key check (id > 0),
    -- What people and platforms know the order by.
    order_no text not null,
    -- The number at the platform: the same, but for a platform that takes a number only once.
    out_no text not null,
    order_type text not null constraint payment_orders_type_known
        check (order_type in ('customer_order', 'salary', 'supplier_payment')),
    payment_method text not null constraint payment_orders_method_known check (payment_method in ('wechat', 'alipay', 'bank')),
    trade text not null constraint payment_orders_trade_known
        check (trade in ('native', 'jsapi', 'qr', 'pos', 'bank_transfer', 'transfer', 'payroll_file')),
    amount_fen integer not null constraint payment_orders_amount_range check (amount_fen between 1 and 9999999999),
    related_id integer not null,
    subject text not null,
    category text not null,
    status text not null constraint payment_orders_status_known check (status in (
        'awaiting_approval', 'queued', 'pending', 'closing', 'paid', 'closed', 'failed',
        'processing', 'wait_confirm', 'cancelling', 'cancelled', 'returned')),
    -- What the first request to the platform holds beside this row, sealed: a repeat must be the same.
    request text,
    payment_url text,
    -- What the mini-program hands to WeChat to pay or to accept a payout, JSON, sealed.
    launch text,
    platform_no text,
    -- The slip of a POS terminal or the reference of a bank transfer. Never a whole card number.
    reference text,
    terminal text,
    batch text,
    card_tail text constraint payment_orders_card_tail_shape check (length(card_tail) = 4),
    -- The payee's account and name of a payout, JSON, sealed.
    payee text,
    failure text,
    -- Paid after it had been closed or had failed: the money has to go back.
    refund_due integer not null default 0 constraint payment_orders_refund_due_flag check (refund_due in (0, 1)),
    -- The payout that this one replaces, after the platform had said that it failed.
    replaces_id integer references payment_orders (id),
    created_at integer not null,
    created_by integer references users (id),
    -- When the platform was first told of it.
    sent_at integer,
    expires_at integer,
    paid_at integer,
    closed_at integer,
    approved_by integer references users (id),
    approved_at integer,
    confirmed_by integer references users (id),
    updated_at integer not null,
    -- Payouts and payments have states of their own.
    constraint payment_orders_status_fits check (
        case when order_type = 'customer_order'
            then status in ('queued', 'pending', 'closing', 'paid', 'closed', 'failed')
            else status in ('awaiting_approval', 'queued', 'paid', 'failed',
                'processing', 'wait_confirm', 'cancelling', 'cancelled', 'returned') end)
) strict;
create unique index payment_orders_number on payment_orders (order_no);
create unique index payment_orders_out_number on payment_orders (out_no);
-- A slip or a bank reference stands for one payment.
create unique index payment_orders_reference on payment_orders (trade, reference) where reference is not null;
-- One payout a salary, until it has certainly failed: no second worker, double click or repeat can start another.
create unique index payment_orders_one_open_payout on payment_orders (related_id)
    where order_type = 'salary' and status not in ('failed', 'cancelled', 'returned');
create index payment_orders_by_time on payment_orders (created_at, id);
create index payment_orders_by_status on payment_orders (status, created_at, id);
create index payment_orders_by_type on payment_orders (order_type, created_at, id);
create index payment_orders_by_method on payment_orders (payment_method, created_at, id);
create index payment_orders_by_related on payment_orders (order_type, related_id, created_at, id);
create index payment_orders_by_payment on payment_orders (paid_at, id) where paid_at is not null;
create index payment_orders_by_user on payment_orders (created_by, created_at, id) where created_by is not null;

create table payment_refunds (
    id integer primary key check (id > 0),
    refund_no text not null,
    -- The number at the platform: the same, but for a platform that takes a number only once.
    out_no text not null,
    order_id integer not null references payment_orders (id),
    amount_fen integer not null constraint payment_refunds_amount_range check (amount_fen between 1 and 9999999999),
    reason text not null,
    status text not null constraint payment_refunds_status_known
        check (status in ('queued', 'processing', 'succeeded', 'failed', 'abnormal')),
    platform_no text,
    -- How the money went back, for a refund that a person made by hand.
    reference text,
    failure text,
    created_at integer not null,
    created_by integer references users (id),
    sent_at integer,
    succeeded_at integer,
    updated_at integer not null
) strict;
create unique index payment_refunds_number on payment_refunds (refund_no);
create unique index payment_refunds_out_number on payment_refunds (out_no);
create index payment_refunds_by_order on payment_refunds (order_id, id);
create index payment_refunds_by_status on payment_refunds (status, created_at, id);

-- The one entry in the books for each payment, refund, payout and payout that came back: a second one is impossible.
create table payment_entries (
    kind text not null constraint payment_entries_kind_known check (kind in ('payment', 'refund', 'payout', 'return')),
    -- The refund's row for a refund, the order's for the others.
    subject_id integer not null,
    transaction_id integer not null references transactions (id),
    amount_fen integer not null,
    created_at integer not null,
    primary key (kind, subject_id)
) strict, without rowid;
create unique index payment_entries_transaction on payment_entries (transaction_id);

-- Each verified notification, once.
create table payment_callbacks (
    id integer primary key check (id > 0),
    channel text not null constraint payment_callbacks_channel_known check (channel in ('wechat', 'alipay', 'unionpay')),
    event_key text not null,
    number text not null,
    -- What it said, JSON, sealed.
    event text not null,
    outcome text not null,
    received_at integer not null
) strict;
create unique index payment_callbacks_event on payment_callbacks (channel, event_key);
create index payment_callbacks_by_number on payment_callbacks (number, id);

-- What was refused or does not fit, for a person to look at.
create table payment_anomalies (
    id integer primary key check (id > 0),
    channel text not null,
    kind text not null,
    number text,
    detail text not null,
    created_at integer not null,
    resolved_at integer,
    resolved_by integer references users (id),
    resolution text
) strict;
create index payment_anomalies_by_time on payment_anomalies (created_at, id);
create index payment_anomalies_open on payment_anomalies (created_at, id) where resolved_at is null;
-- How many of a kind wait, and whether this very one does, is asked each time that one is recorded.
create index payment_anomalies_open_by_kind on payment_anomalies (kind, created_at, id) where resolved_at is null;
create index payment_anomalies_by_kind on payment_anomalies (kind, created_at, id);
create index payment_anomalies_by_channel on payment_anomalies (channel, created_at, id);
create index payment_anomalies_resolved on payment_anomalies (created_at, id) where resolved_at is not null;

-- What the program has to ask or tell a platform next. Made anew from the orders and refunds when it is lost, so it does not travel.
create table payment_tasks (
    kind text not null constraint payment_tasks_kind_known check (kind in ('order', 'refund')),
    subject_id integer not null,
    due_at integer not null,
    tries integer not null,
    -- When the platform was last asked or told something about it.
    asked_at integer,
    last_error text,
    primary key (kind, subject_id)
) strict, without rowid;
create index payment_tasks_by_time on payment_tasks (due_at);

-- Requests that make an order, by their Idempotency-Key: the answer can only be given after the platform was asked, which is not in the
-- transaction that makes the order.
create table payment_requests (
    request_key text primary key not null,
    fingerprint text not null,
    order_id integer not null references payment_orders (id),
    created_at integer not null
) strict, without rowid;
create index payment_requests_by_time on payment_requests (created_at);

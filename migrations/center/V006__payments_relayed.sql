-- What the center keeps of the calls that it makes of payment platforms for its sites, and of what platforms tell it.

-- An intent is here before its call goes to the platform. Its number is unique over all sites of a merchant.
create table if not exists canshi_payment_intents (
    number varchar(32) not null,
    site_id bigint not null,
    -- `wechat`, `alipay`, `unionpay`.
    channel varchar(16) not null,
    -- `create`, `refund`, `transfer`.
    kind varchar(16) not null,
    amount_fen bigint not null,
    -- The keyed index of the payer's openid, for a payment inside the mini-program.
    payer_index varchar(64),
    request_sealed mediumtext not null,
    -- Tells a repeat from another request under the same number.
    fingerprint varchar(64) not null,
    -- Who makes the call now, and how long at most: a repeat does not overlap with the first.
    holder varchar(64),
    held_until datetime(3),
    created_at datetime(3) not null,
    updated_at datetime(3) not null,
    -- In a word what came of the newest call; null before the first has come to an end.
    outcome varchar(191),
    primary key (number),
    key canshi_payment_intents_site (site_id, created_at)
) default charset utf8mb4 collate utf8mb4_bin;

-- The merchant's bill of a day, as it was downloaded: every site asks for it, the platform is asked once.
create table if not exists canshi_payment_bills (
    channel varchar(16) not null,
    date date not null,
    -- SHA-256 of the file, hexadecimal.
    sha256 varchar(64) not null,
    fetched_at datetime(3) not null,
    primary key (channel, date)
) default charset utf8mb4 collate utf8mb4_bin;

-- The file as it came (`raw`) and what it says (`rows`, JSON), each Base64, sealed, in pieces that every MySQL takes.
create table if not exists canshi_payment_bill_pieces (
    channel varchar(16) not null,
    date date not null,
    part varchar(8) not null,
    place bigint not null,
    piece_sealed mediumtext not null,
    primary key (channel, date, part, place)
) default charset utf8mb4 collate utf8mb4_bin;

-- What the relay refused from a platform, or what fits none of its sites, for a person to look at.
create table if not exists canshi_payment_anomalies (
    id bigint not null,
    at datetime(3) not null,
    channel varchar(16) not null,
    kind varchar(32) not null,
    number varchar(64),
    detail text not null,
    primary key (id),
    key canshi_payment_anomalies_at (at)
) default charset utf8mb4 collate utf8mb4_bin;

-- The mirror of the tables of payments and payouts, by the rules of V002.

create table if not exists `payment_orders` (
    site_id bigint not null,
    `id` bigint not null,
    `order_no` varchar(255),
    `out_no` varchar(255),
    `order_type` varchar(255),
    `payment_method` varchar(255),
    `trade` varchar(255),
    `amount` decimal(14,2),
    `related_id` bigint,
    `subject` mediumtext,
    `category` varchar(255),
    `status` varchar(255),
    `request` mediumtext,
    `payment_url` mediumtext,
    `launch` mediumtext,
    `platform_no` varchar(255),
    `reference` varchar(255),
    `terminal` varchar(255),
    `batch` varchar(255),
    `card_tail` varchar(255),
    `payee` mediumtext,
    `failure` mediumtext,
    `refund_due` bigint,
    `replaces_id` bigint,
    `created_at` datetime(3),
    `created_by` bigint,
    `sent_at` datetime(3),
    `expires_at` datetime(3),
    `paid_at` datetime(3),
    `closed_at` datetime(3),
    `approved_by` bigint,
    `approved_at` datetime(3),
    `confirmed_by` bigint,
    `updated_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `payment_refunds` (
    site_id bigint not null,
    `id` bigint not null,
    `refund_no` varchar(255),
    `out_no` varchar(255),
    `order_id` bigint,
    `amount` decimal(14,2),
    `reason` mediumtext,
    `status` varchar(255),
    `request` mediumtext,
    `platform_no` varchar(255),
    `reference` varchar(255),
    `failure` mediumtext,
    `created_at` datetime(3),
    `created_by` bigint,
    `sent_at` datetime(3),
    `succeeded_at` datetime(3),
    `updated_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `payment_entries` (
    site_id bigint not null,
    `kind` varchar(191) not null,
    `subject_id` bigint not null,
    `transaction_id` bigint,
    `amount` decimal(14,2),
    `created_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `kind`, `subject_id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `payment_callbacks` (
    site_id bigint not null,
    `id` bigint not null,
    `channel` varchar(255),
    `event_key` varchar(255),
    `number` varchar(255),
    `event` mediumtext,
    `outcome` varchar(255),
    `received_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `payment_anomalies` (
    site_id bigint not null,
    `id` bigint not null,
    `channel` varchar(255),
    `kind` varchar(255),
    `number` varchar(255),
    `detail` mediumtext,
    `created_at` datetime(3),
    `resolved_at` datetime(3),
    `resolved_by` bigint,
    `resolution` mediumtext,
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `suppliers` (
    site_id bigint not null,
    `id` bigint not null,
    `name` varchar(255),
    `category` varchar(255),
    `contact` varchar(255),
    `contact_index` varchar(255),
    `status` varchar(255),
    `created_at` datetime(3),
    `updated_at` datetime(3),
    `deleted_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `payees` (
    site_id bigint not null,
    `id` bigint not null,
    `noun` varchar(255),
    `noun_id` bigint,
    `payment_method` varchar(255),
    `account` mediumtext,
    `account_name` varchar(255),
    `bank_name` mediumtext,
    `created_at` datetime(3),
    `updated_at` datetime(3),
    `deleted_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `salaries` (
    site_id bigint not null,
    `id` bigint not null,
    `employee_id` bigint,
    `pay_period` varchar(255),
    `version` bigint,
    `base_salary` decimal(14,2),
    `overtime_pay` decimal(14,2),
    `allowance` decimal(14,2),
    `deductions` decimal(14,2),
    `net_salary` decimal(14,2),
    `note` mediumtext,
    `created_at` datetime(3),
    `created_by` bigint,
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `reconciliations` (
    site_id bigint not null,
    `id` bigint not null,
    `channel` varchar(255),
    `date` date,
    `status` varchar(255),
    `sha256` varchar(255),
    `rows_total` bigint,
    `rows_matched` bigint,
    `differences` bigint,
    `platform_in` decimal(14,2),
    `platform_out` decimal(14,2),
    `local_in` decimal(14,2),
    `local_out` decimal(14,2),
    `fee` decimal(14,2),
    `last_error` mediumtext,
    `created_at` datetime(3),
    `updated_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `reconciliation_differences` (
    site_id bigint not null,
    `id` bigint not null,
    `reconciliation_id` bigint,
    `class` varchar(255),
    `number` varchar(255),
    `platform_no` varchar(255),
    `platform` decimal(14,2),
    `local` decimal(14,2),
    `note` mediumtext,
    `created_at` datetime(3),
    `resolved_at` datetime(3),
    `resolved_by` bigint,
    `resolution` mediumtext,
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

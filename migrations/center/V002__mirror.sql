-- The mirror: every travelling table of every site, wider than the site's own. `site_id` comes first in each key, so that a shard
-- or a partition can hold whole sites. Nothing is refused here: no foreign keys, no checks, null wherever the key allows it.
--   money     DECIMAL(14,2) in yuan; the site's `*_fen` without `_fen`
--   instants  DATETIME(3), UTC
--   days      DATE
-- `mirror_seq` is the change that wrote the row; `mirror_overflow` holds what has no column yet or does not fit its column.

create table if not exists `roles` (
    site_id bigint not null,
    `id` bigint not null,
    `name` varchar(255),
    `title` varchar(255),
    `built_in` bigint,
    `created_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `role_permissions` (
    site_id bigint not null,
    `role_id` bigint not null,
    `permission` varchar(191) not null,
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `role_id`, `permission`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `users` (
    site_id bigint not null,
    `id` bigint not null,
    `username` varchar(255),
    `password_hash` varchar(255),
    `role_id` bigint,
    `name` varchar(255),
    `employee_id` bigint,
    `customer_id` bigint,
    `status` varchar(255),
    `created_at` datetime(3),
    `updated_at` datetime(3),
    `deleted_at` datetime(3),
    `openid` varchar(255),
    `openid_index` varchar(255),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `customers` (
    site_id bigint not null,
    `id` bigint not null,
    `name` varchar(255),
    `age` bigint,
    `gender` varchar(255),
    `contact` varchar(255),
    `contact_index` varchar(255),
    `delivery_date` date,
    `check_in_date` date,
    `check_out_date` date,
    `dietary_restrictions` mediumtext,
    `preferences` mediumtext,
    `status` varchar(255),
    `created_at` datetime(3),
    `updated_at` datetime(3),
    `deleted_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `dishes` (
    site_id bigint not null,
    `id` bigint not null,
    `name` varchar(255),
    `category` varchar(255),
    `description` mediumtext,
    `ingredients` mediumtext,
    `restrictions` mediumtext,
    `calories` bigint,
    `price` decimal(14,2),
    `status` varchar(255),
    `created_at` datetime(3),
    `updated_at` datetime(3),
    `deleted_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `menus` (
    site_id bigint not null,
    `id` bigint not null,
    `date` date,
    `type` varchar(255),
    `created_at` datetime(3),
    `updated_at` datetime(3),
    `deleted_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `menu_dishes` (
    site_id bigint not null,
    `menu_id` bigint not null,
    `dish_id` bigint not null,
    `position` bigint,
    `quantity` bigint,
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `menu_id`, `dish_id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `employees` (
    site_id bigint not null,
    `id` bigint not null,
    `name` varchar(255),
    `position` varchar(255),
    `contact` varchar(255),
    `contact_index` varchar(255),
    `base_salary` decimal(14,2),
    `joining_date` date,
    `status` varchar(255),
    `created_at` datetime(3),
    `updated_at` datetime(3),
    `deleted_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `attendance` (
    site_id bigint not null,
    `id` bigint not null,
    `employee_id` bigint,
    `date` date,
    `check_in_at` datetime(3),
    `check_out_at` datetime(3),
    `status` varchar(255),
    `deleted_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `punches` (
    site_id bigint not null,
    `id` bigint not null,
    `employee_id` bigint,
    `type` varchar(255),
    `effective_at` datetime(3),
    `received_at` datetime(3),
    `punched_at` datetime(3),
    `clock_suspect` bigint,
    `recorded_by` bigint,
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `transactions` (
    site_id bigint not null,
    `id` bigint not null,
    `type` varchar(255),
    `category` varchar(255),
    `amount` decimal(14,2),
    `description` mediumtext,
    `transaction_at` datetime(3),
    `local_date` date,
    `payment_method` varchar(255),
    `status` varchar(255),
    `related_id` bigint,
    `related_type` varchar(255),
    `void_reason` mediumtext,
    `voided_at` datetime(3),
    `voided_by` bigint,
    `created_at` datetime(3),
    `created_by` bigint,
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `notifications` (
    site_id bigint not null,
    `id` bigint not null,
    `title` varchar(255),
    `content` mediumtext,
    `user_id` bigint,
    `role_id` bigint,
    `created_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `notification_reads` (
    site_id bigint not null,
    `notification_id` bigint not null,
    `user_id` bigint not null,
    `read_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `notification_id`, `user_id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `settings` (
    site_id bigint not null,
    `key` varchar(191) not null,
    `value` mediumtext,
    `updated_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `key`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `audit` (
    site_id bigint not null,
    `id` bigint not null,
    `at` datetime(3),
    `user_id` bigint,
    `role` varchar(255),
    `address` varchar(255),
    `request_id` varchar(255),
    `action` varchar(255),
    `noun` varchar(255),
    `noun_id` bigint,
    `before` mediumtext,
    `after` mediumtext,
    `hash` varchar(255),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `boots` (
    site_id bigint not null,
    `id` bigint not null,
    `nonce` varchar(255),
    `version` varchar(255),
    `started_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `mailbox_answers` (
    site_id bigint not null,
    `id` varchar(191) not null,
    `fingerprint` varchar(255),
    `status` bigint,
    `answer_sealed` mediumtext,
    `created_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `appointments` (
    site_id bigint not null,
    `id` bigint not null,
    `user_id` bigint,
    `customer_id` bigint,
    `service_type` varchar(255),
    `date` date,
    `time` varchar(255),
    `requirements` mediumtext,
    `status` varchar(255),
    `employee_id` bigint,
    `reason` mediumtext,
    `created_at` datetime(3),
    `updated_at` datetime(3),
    `confirmed_at` datetime(3),
    `started_at` datetime(3),
    `completed_at` datetime(3),
    `cancelled_at` datetime(3),
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

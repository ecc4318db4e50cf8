-- The mirror of site V016, by the rules at the head of V002.
create table if not exists `payroll_files` (
    site_id bigint not null,
    `id` bigint not null,
    `pay_period` varchar(255),
    `orders` bigint,
    `amount` decimal(14,2),
    `created_at` datetime(3),
    `created_by` bigint,
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `id`)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists `payroll_file_orders` (
    site_id bigint not null,
    `file_id` bigint not null,
    `place` bigint not null,
    `order_id` bigint,
    mirror_seq bigint not null,
    mirror_overflow json,
    primary key (site_id, `file_id`, `place`)
) default charset utf8mb4 collate utf8mb4_bin;

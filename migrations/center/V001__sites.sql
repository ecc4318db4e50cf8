-- What the center keeps about its sites. Portable: no triggers, no checks, no foreign keys, no AUTO_INCREMENT, instants in UTC.
-- Every statement may be run twice, since MySQL commits each by itself and a migration can be cut in the middle.
create table if not exists canshi_sites (
    id bigint not null,
    name varchar(191) not null,
    created_at datetime(3) not null,
    revoked_at datetime(3),
    credential_hash varchar(64),
    time_zone varchar(64),
    version varchar(64),
    -- The site's keys, for a box that has to be rebuilt, and the two keys of tokens; sealed by the relay.
    keys_sealed mediumtext,
    -- Tells apart the keys of different sites: a hash of the key of the blind indexes, which never changes.
    keys_id varchar(64),
    token_key_sealed text,
    relay_key_sealed text,
    primary key (id),
    unique key canshi_sites_credential (credential_hash)
) default charset utf8mb4 collate utf8mb4_bin;

create table if not exists canshi_codes (
    code_hash varchar(64) not null,
    site_id bigint not null,
    expires_at datetime(3) not null,
    -- The credential that the code was traded for: a repeat with the same one gets the same answer.
    used_by varchar(64),
    primary key (code_hash)
) default charset utf8mb4 collate utf8mb4_bin;

-- Where each site's mirror is in the site's chain of changes. Moved in the transaction that applies the changes.
create table if not exists canshi_positions (
    site_id bigint not null,
    epoch varchar(64) not null,
    seq bigint not null,
    hash varchar(64) not null,
    -- How far the parts of a transaction that is not whole yet go; the same as the above when there are none.
    staged_seq bigint not null,
    staged_hash varchar(64) not null,
    applied_at datetime(3) not null,
    -- When the newest applied transaction was committed on the site, by the site's clock.
    committed_at datetime(3) not null,
    -- The newest change that the site has told of, and when; equal to seq, the mirror is as new as that.
    tip bigint not null,
    told_at datetime(3) not null,
    schema_version bigint not null,
    -- `current`, or `loading` while a repair makes the mirror equal for the first time in this epoch.
    state varchar(16) not null,
    -- The start of the box that the center takes changes from, until when, and since when another start wants its place.
    boot varchar(64),
    lease_until datetime(3),
    contender varchar(64),
    contender_at datetime(3),
    -- The newest box that was refused, and why.
    fenced_at datetime(3),
    fenced_boot varchar(64),
    fenced_reason text,
    quarantined bigint not null,
    primary key (site_id)
) default charset utf8mb4 collate utf8mb4_bin;

-- The columns of a site's tables by schema version.
create table if not exists canshi_layouts (
    site_id bigint not null,
    schema_version bigint not null,
    layout mediumtext not null,
    primary key (site_id, schema_version)
) default charset utf8mb4 collate utf8mb4_bin;

-- Parts of a transaction that is too large for one batch, until its last part comes.
create table if not exists canshi_parts (
    site_id bigint not null,
    seq bigint not null,
    batch longblob not null,
    primary key (site_id, seq)
) default charset utf8mb4 collate utf8mb4_bin;

-- Transactions that could not be applied, whole, for `canshi site replay`.
create table if not exists canshi_quarantine (
    site_id bigint not null,
    seq bigint not null,
    until_seq bigint not null,
    at datetime(3) not null,
    problem text not null,
    batch longblob not null,
    primary key (site_id, seq)
) default charset utf8mb4 collate utf8mb4_bin;

-- Deletions while something is in quarantine: what is replayed must not bring a deleted row back.
create table if not exists canshi_tombstones (
    site_id bigint not null,
    tbl varchar(64) not null,
    pk varchar(255) not null,
    seq bigint not null,
    primary key (site_id, tbl, pk)
) default charset utf8mb4 collate utf8mb4_bin;

-- Rows of tables that this center does not have yet.
create table if not exists canshi_unknown_rows (
    site_id bigint not null,
    tbl varchar(64) not null,
    pk varchar(255) not null,
    seq bigint not null,
    schema_version bigint not null,
    image longtext not null,
    primary key (site_id, tbl, pk)
) default charset utf8mb4 collate utf8mb4_bin;

-- Rows that a repair found to differ, as they were on both sides.
create table if not exists canshi_differences (
    site_id bigint not null,
    tbl varchar(64) not null,
    pk varchar(255) not null,
    found_at datetime(3) not null,
    center_image longtext,
    site_image longtext,
    primary key (site_id, tbl, pk, found_at)
) default charset utf8mb4 collate utf8mb4_bin;

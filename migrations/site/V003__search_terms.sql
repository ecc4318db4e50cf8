-- Every suffix of every searchable word, so that "contains" is a range over an index (src/store/search.rs).
-- Derived from the rows, so it does not travel.
create table search_terms (
    noun text not null,
    suffix text not null,
    row_id integer not null,
    primary key (noun, suffix, row_id)
) strict, without rowid;
create index search_terms_by_row on search_terms (noun, row_id);

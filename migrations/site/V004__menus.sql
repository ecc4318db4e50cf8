create table dishes (
    id integer primary key check (id > 0),
    name text not null,
    category text not null,
    description text,
    ingredients text,
    restrictions text,
    calories integer constraint dishes_calories_range check (calories between 0 and 100000),
    price_fen integer constraint dishes_price_range check (price_fen between 0 and 9999999999),
    status text not null constraint dishes_status_known check (status in ('active', 'inactive')),
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer
) strict;
create index dishes_by_category on dishes (category, id) where deleted_at is null;
create index dishes_by_status on dishes (status, id) where deleted_at is null;
create index dishes_visible on dishes (id) where deleted_at is null;

create table menus (
    id integer primary key check (id > 0),
    date text not null,
    type text not null constraint menus_type_known check (type in ('breakfast', 'lunch', 'dinner')),
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer
) strict;
create unique index menus_one_per_meal on menus (date, type) where deleted_at is null;
create index menus_by_day
    on menus (date, (case type when 'breakfast' then 1 when 'lunch' then 2 else 3 end), id) where deleted_at is null;
create index menus_by_type on menus (type, date) where deleted_at is null;

create table menu_dishes (
    menu_id integer not null references menus (id),
    dish_id integer not null references dishes (id),
    position integer not null,
    quantity integer not null constraint menu_dishes_quantity_range check (quantity between 1 and 100000),
    primary key (menu_id, dish_id)
) strict, without rowid;
create index menu_dishes_by_dish on menu_dishes (dish_id);

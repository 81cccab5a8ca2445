-- The catalogue of contract.md §3. A release replaces all of it in one transaction, so keys between its tables are
-- judged at commit. `*` matches anything and refers to nothing.

create table products (
    product_id text primary key check (product_id not in ('', '*')),
    product_name text not null,
    service_type text not null check (service_type in ('voice', 'sms', 'data')),
    unit text not null check (unit in ('second', 'message', 'megabyte')),
    check ((service_type, unit) in (('voice', 'second'), ('sms', 'message'), ('data', 'megabyte')))
);

-- A plan has a row for each of its versions, so what refers to "a plan" refers to its key here.
create table rate_plan_keys (
    rate_plan_id text primary key check (rate_plan_id not in ('', '*'))
);

create table rate_plans (
    rate_plan_id text not null references rate_plan_keys deferrable initially deferred,
    rate_plan_name text not null,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    monthly_fee numeric(18, 6) not null check (monthly_fee >= 0),
    minimum_spend numeric(18, 6) not null check (minimum_spend >= 0),
    valid_from date not null,
    valid_to date check (valid_to > valid_from),
    primary key (rate_plan_id, valid_from)
);

create function keep_rate_plan_key() returns trigger language plpgsql as $$
begin
    insert into rate_plan_keys values (new.rate_plan_id) on conflict do nothing;
    return new;
end
$$;

create trigger keep_key before insert or update on rate_plans for each row execute function keep_rate_plan_key();

create function drop_rate_plan_key() returns trigger language plpgsql as $$
begin
    delete from rate_plan_keys where rate_plan_id = old.rate_plan_id
    and not exists (select from rate_plans where rate_plan_id = old.rate_plan_id);
    return null;
end
$$;

create constraint trigger drop_key after delete or update on rate_plans deferrable initially deferred
for each row execute function drop_rate_plan_key();

create table product_rates (
    product_rate_id text primary key check (product_rate_id <> ''),
    rate_plan_id text not null references rate_plan_keys deferrable initially deferred,
    product_id text not null references products deferrable initially deferred,
    zone text not null,
    time_band text not null,
    from_unit numeric(18, 6) not null check (from_unit >= 0),
    unit_price numeric(18, 6) not null check (unit_price >= 0),
    unit_size numeric(18, 6) not null check (unit_size > 0),
    initial_increment numeric(18, 6) not null check (initial_increment > 0),
    increment numeric(18, 6) not null check (increment > 0),
    connect_fee numeric(18, 6) not null check (connect_fee >= 0),
    max_charge numeric(18, 6) check (max_charge >= 0),
    rounding_mode text not null check (rounding_mode in ('up', 'half_up', 'down')),
    rounding_scale int not null check (rounding_scale between 0 and 6),
    valid_from date not null,
    valid_to date check (valid_to > valid_from),
    unique (rate_plan_id, product_id, zone, time_band, valid_from, from_unit)
);

create table destination_prefixes (
    prefix text primary key check (prefix ~ '^([0-9]{1,15}|[*])$'),
    zone text not null check (zone not in ('', '*')),
    description text
);

create table cell_zones (
    cell_prefix text primary key check (cell_prefix <> ''),
    zone text not null check (zone not in ('', '*'))
);

create table time_bands (
    time_band text not null check (time_band not in ('', '*')),
    day_type text not null check (day_type in ('weekday', 'saturday', 'sunday', 'holiday')),
    starts_at text not null check (starts_at ~ '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$'),
    ends_at text not null check (ends_at ~ '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$' and ends_at > starts_at),
    primary key (time_band, day_type, starts_at)
);

create table holidays (
    holiday_date date primary key,
    holiday_name text not null
);

create table promotions (
    promotion_id text not null check (promotion_id <> ''),
    promotion_name text not null,
    rate_plan_id text not null,
    service_type text not null check (service_type in ('voice', 'sms', 'data', '*')),
    zone text not null,
    time_band text not null,
    segment text not null check (segment in ('consumer', 'student', 'business', 'vip', '*')),
    discount_percent numeric(18, 6) not null check (discount_percent between 0 and 100),
    priority int not null,
    valid_from date not null,
    valid_to date check (valid_to > valid_from),
    named_plan_id text generated always as (nullif(rate_plan_id, '*')) stored
    references rate_plan_keys deferrable initially deferred,
    primary key (promotion_id, valid_from)
);

create table customer_status_rules (
    customer_status text primary key check (customer_status in ('active', 'suspended', 'terminated', 'pending')),
    ratable boolean not null,
    reason text check (ratable or reason <> '')
);

create table allowances (
    allowance_id text not null check (allowance_id <> ''),
    rate_plan_id text not null,
    service_type text not null check (service_type in ('voice', 'sms', 'data', '*')),
    zone text not null,
    included_units numeric(18, 6) not null check (included_units >= 0),
    rollover_units_max numeric(18, 6) not null check (rollover_units_max >= 0),
    priority int not null,
    valid_from date not null,
    valid_to date check (valid_to > valid_from),
    named_plan_id text generated always as (nullif(rate_plan_id, '*')) stored
    references rate_plan_keys deferrable initially deferred,
    primary key (allowance_id, valid_from)
);

create table discounts (
    discount_id text not null check (discount_id <> ''),
    discount_name text not null,
    rate_plan_id text not null,
    segment text not null check (segment in ('consumer', 'student', 'business', 'vip', '*')),
    kind text not null check (kind in ('percent', 'fixed')),
    value numeric(18, 6) not null check (value >= 0 and (kind <> 'percent' or value <= 100)),
    minimum_subtotal numeric(18, 6) not null check (minimum_subtotal >= 0),
    priority int not null,
    valid_from date not null,
    valid_to date check (valid_to > valid_from),
    named_plan_id text generated always as (nullif(rate_plan_id, '*')) stored
    references rate_plan_keys deferrable initially deferred,
    primary key (discount_id, valid_from)
);

create table tax_rates (
    tax_id text not null check (tax_id <> ''),
    tax_name text not null,
    applies_to text not null check (applies_to in ('voice', 'sms', 'data', 'fee', '*')),
    region text not null,
    percent numeric(18, 6) not null check (percent between 0 and 100),
    valid_from date not null,
    valid_to date check (valid_to > valid_from),
    primary key (tax_id, valid_from)
);

-- What is written down when the usage of closed months is purged (`telecom purge`), in the transaction that deletes it
-- here. The newest note says what is gone: all usage before purged_before that was landed until landed_until.

create table purges (
    purge_id int generated always as identity primary key,
    -- the first day of the last month whose usage is gone, and the instant at which that month was over
    purged_through date not null check (extract(day from purged_through) = 1),
    purged_before timestamptz not null,
    landed_until timestamptz not null,
    noted_at timestamptz not null default now(),
    -- empty until Spark and the landing zone have let go of it too
    finished_at timestamptz
);

-- The control totals of what is gone, for the equations that go on being checked.
create table purged_records (
    landed_on date not null,
    rating_status text not null check (rating_status in ('rated', 'rejected', 'unmatched', 'error')),
    records bigint not null check (records > 0),
    primary key (landed_on, rating_status)
);

create table purged_costs (
    usage_month text not null check (usage_month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    currency text not null,
    rated_cost numeric(28, 6) not null,
    prepaid_cost numeric(28, 6) not null,
    included_amount numeric(28, 6) not null,
    rounding numeric(28, 6) not null,
    primary key (usage_month, currency)
);

-- What the last purged month left of each allowance, in parts of a unit: the month after it may use them.
create table purged_balances (
    customer_id text not null,
    allowance_id text not null,
    month date not null,
    unused_parts numeric(38, 6) not null check (unused_parts >= 0),
    primary key (customer_id, allowance_id)
);

-- Without its usage an open month's bills would be made anew from nothing.
create function guard_purge() returns trigger language plpgsql as $$
begin
    if new.purged_through > coalesce((select max(month) from billing_months), '-infinity') then
        raise exception 'month % is not closed: its usage is needed', to_char(new.purged_through, 'YYYY-MM');
    end if;
    return new;
end
$$;

create trigger guard_purge before insert or update on purges for each row execute function guard_purge();

-- Forgetting that a month is purged would credit all that it was billed.
create function guard_noted_purge() returns trigger language plpgsql as $$
begin
    raise exception 'usage through % is gone: its note stays', to_char(old.purged_through, 'YYYY-MM');
end
$$;

create trigger guard_noted before delete on purges for each row execute function guard_noted_purge();

grant select on purges, purged_records, purged_costs, purged_balances to telecom_loader;

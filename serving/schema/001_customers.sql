-- What the CRM delivers and what billing is told. No foreign key to the catalogue here: customers are loaded by another
-- system at another time than tariffs, and an unknown plan is found by a data test and shows in rating's status.

create table customers (
    customer_id text primary key check (customer_id <> ''),
    msisdn text not null unique check (msisdn ~ '^[0-9]{8,15}$'),
    customer_name text,
    subscription_type text not null check (subscription_type in ('prepaid', 'postpaid')),
    segment text not null check (segment in ('consumer', 'student', 'business', 'vip')),
    rate_plan_id text not null,
    customer_status text not null check (customer_status in ('active', 'suspended', 'terminated', 'pending')),
    region text,
    activation_date date not null,
    termination_date date check (termination_date >= activation_date),
    updated_at timestamptz not null default now()
);

-- The snapshot dates a customer's new version by updated_at: an update that forgot it would be dated before itself.
create function touch_customer() returns trigger language plpgsql as $$
begin
    if new is distinct from old and new.updated_at is not distinct from old.updated_at then
        new.updated_at := clock_timestamp();
    end if;
    return new;
end
$$;

create trigger touch before update on customers for each row execute function touch_customer();

create table billing_months (
    month date primary key check (extract(day from month) = 1),
    closed_at timestamptz not null
);

-- How a run publishes. Spark writes rows into the export views under its run's id; they land in unlogged tables that
-- nobody reads. The insert into export.publications then moves all of them into the served tables in one transaction:
-- a reader sees the run before or the run after. What a killed run left behind is never moved, and goes with the next.

create schema staged;
create schema export;

create unlogged table staged.usage_records (
    staged_at timestamptz not null default now(),
    run_id text not null,
    record_id text,
    customer_id text,
    msisdn text,
    peer_msisdn text,
    record_type text,
    event_time timestamptz,
    rate_plan_id text,
    product_id text,
    zone text,
    time_band text,
    quantity numeric(18, 6),
    billed_units numeric(18, 6),
    connect_fee numeric(18, 6),
    usage_charge numeric(18, 6),
    promotion_id text,
    promotion_amount numeric(18, 6),
    cost numeric(18, 6),
    currency text,
    rating_status text,
    status_reason text,
    rated_at timestamptz
);

-- A row without a customer withdraws its bill, if that is still a draft.
create unlogged table staged.bills (
    staged_at timestamptz not null default now(),
    run_id text not null,
    bill_id text,
    customer_id text,
    period text,
    state text,
    currency text,
    subtotal numeric(18, 3),
    discount_total numeric(18, 3),
    tax_total numeric(18, 3),
    total numeric(18, 3),
    invoice jsonb,
    issued_at timestamptz,
    digest text
);

create unlogged table staged.bill_lines (
    staged_at timestamptz not null default now(),
    run_id text not null,
    bill_id text,
    line_no int,
    kind text,
    description text,
    service text,
    zone text,
    quantity numeric(18, 6),
    amount numeric(18, 3),
    discount numeric(18, 3),
    tax_percent numeric(9, 6),
    tax numeric(18, 3),
    total numeric(18, 3),
    usage_month text
);

create table publications (
    run_id text primary key,
    published_at timestamptz not null default clock_timestamp(),
    usage_records bigint not null,
    bills bigint not null,
    bill_lines bigint not null
);

create view export.usage_records as
select
    run_id, record_id, customer_id, msisdn, peer_msisdn, record_type, event_time, rate_plan_id, product_id,
    zone, time_band, quantity, billed_units, connect_fee, usage_charge, promotion_id, promotion_amount, cost,
    currency, rating_status, status_reason, rated_at
from staged.usage_records;

create view export.bills as
select
    run_id, bill_id, customer_id, period, state, currency, subtotal, discount_total, tax_total, total, invoice,
    issued_at, digest
from staged.bills;

create view export.bill_lines as
select
    run_id, bill_id, line_no, kind, description, service, zone, quantity, amount, discount, tax_percent, tax,
    total, usage_month
from staged.bill_lines;

create view export.publications as
select run_id from publications;

create function staged.publish_usage_records(run text) returns bigint language plpgsql as $$
declare
    changed bigint;
begin
    insert into usage_records as served
    select
        record_id, customer_id, msisdn, peer_msisdn, record_type, event_time, rate_plan_id, product_id, zone, time_band,
        quantity, billed_units, connect_fee, usage_charge, promotion_id, promotion_amount, cost, currency,
        rating_status, status_reason, rated_at
    from staged.usage_records
    where run_id = run
    on conflict (record_id) do update set
        customer_id = excluded.customer_id,
        msisdn = excluded.msisdn,
        peer_msisdn = excluded.peer_msisdn,
        record_type = excluded.record_type,
        event_time = excluded.event_time,
        rate_plan_id = excluded.rate_plan_id,
        product_id = excluded.product_id,
        zone = excluded.zone,
        time_band = excluded.time_band,
        quantity = excluded.quantity,
        billed_units = excluded.billed_units,
        connect_fee = excluded.connect_fee,
        usage_charge = excluded.usage_charge,
        promotion_id = excluded.promotion_id,
        promotion_amount = excluded.promotion_amount,
        cost = excluded.cost,
        currency = excluded.currency,
        rating_status = excluded.rating_status,
        status_reason = excluded.status_reason,
        rated_at = excluded.rated_at
    where served is distinct from excluded;
    get diagnostics changed = row_count;
    return changed;
end
$$;

-- A changed bill's lines are replaced whole: it may have fewer than before.
create function staged.publish_bills(run text) returns table (bill_count bigint, line_count bigint) language plpgsql as $$
begin
    analyze staged.bills;

    delete from bills as served
    using staged.bills as withdrawn
    where withdrawn.run_id = run and withdrawn.customer_id is null and served.bill_id = withdrawn.bill_id;

    delete from bill_lines as served
    using staged.bills as changed
    where changed.run_id = run and served.bill_id = changed.bill_id;

    insert into bills
    select
        bill_id, customer_id, period, state, currency, subtotal, discount_total, tax_total, total, invoice, issued_at,
        digest
    from staged.bills
    where run_id = run and customer_id is not null
    on conflict (bill_id) do update set
        customer_id = excluded.customer_id,
        period = excluded.period,
        state = excluded.state,
        currency = excluded.currency,
        subtotal = excluded.subtotal,
        discount_total = excluded.discount_total,
        tax_total = excluded.tax_total,
        total = excluded.total,
        invoice = excluded.invoice,
        issued_at = excluded.issued_at,
        digest = excluded.digest;
    get diagnostics bill_count = row_count;

    insert into bill_lines
    select
        bill_id, line_no, kind, description, service, zone, quantity, amount, discount, tax_percent, tax, total,
        usage_month
    from staged.bill_lines
    where run_id = run and bill_id in (select bill_id from staged.bills where run_id = run);
    get diagnostics line_count = row_count;
    return next;
end
$$;

-- Emptied at once where no other run is writing; else this run's rows go, and those that a killed run left a day ago.
create function staged.clear(run text) returns void language plpgsql as $$
declare
    name text;
    others boolean;
begin
    foreach name in array array['usage_records', 'bills', 'bill_lines'] loop
        execute format('lock table staged.%I in access exclusive mode', name);
        execute format(
            'select exists (select from staged.%I where run_id <> $1 and staged_at > now() - interval ''1 day'')', name
        ) into others using run;
        if others then
            execute format(
                'delete from staged.%I where run_id = $1 or staged_at <= now() - interval ''1 day''', name
            ) using run;
        else
            execute format('truncate staged.%I', name);
        end if;
    end loop;
end
$$;

create function staged.publish() returns trigger language plpgsql security definer
set search_path = public, pg_temp as $$
declare
    usage_count bigint;
    billed record;
begin
    perform pg_advisory_xact_lock(hashtext('telecom publish'));
    usage_count := staged.publish_usage_records(new.run_id);
    select * into billed from staged.publish_bills(new.run_id);
    insert into publications (run_id, usage_records, bills, bill_lines)
    values (new.run_id, usage_count, billed.bill_count, billed.line_count)
    on conflict (run_id) do nothing;
    perform staged.clear(new.run_id);
    return new;
end
$$;

create trigger publish instead of insert on export.publications for each row execute function staged.publish();

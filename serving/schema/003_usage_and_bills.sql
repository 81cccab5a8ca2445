-- What the pipeline publishes. A record's plan and product are those at event time, which the catalogue in force may
-- have dropped since (and which live in the seeds where the variable `catalogue` says so), hence no key to them.

create table usage_records (
    record_id text primary key,
    customer_id text references customers,
    msisdn text not null,
    peer_msisdn text,
    record_type text not null check (record_type in ('voice', 'sms', 'data')),
    event_time timestamptz not null,
    rate_plan_id text,
    product_id text,
    zone text,
    time_band text,
    quantity numeric(18, 6) not null check (quantity >= 0),
    billed_units numeric(18, 6) check (billed_units >= 0),
    connect_fee numeric(18, 6),
    usage_charge numeric(18, 6),
    promotion_id text,
    promotion_amount numeric(18, 6),
    cost numeric(18, 6) check (cost >= 0),
    currency text,
    rating_status text not null check (rating_status in ('rated', 'rejected', 'unmatched', 'error')),
    status_reason text,
    rated_at timestamptz not null,
    check (cost = connect_fee + usage_charge - promotion_amount),
    check (rating_status <> 'rated' or (customer_id is not null and product_id is not null and cost is not null)),
    check (rating_status = 'rated' or status_reason is not null)
);

-- One index a question: a customer's month, a number's last records, a period's totals, what waits in suspense, and
-- how far the last export came (docs/decisions/0041 shows their plans).
create index usage_records_customer on usage_records (customer_id, event_time);
create index usage_records_msisdn on usage_records (msisdn, event_time);
create index usage_records_event_time on usage_records using brin (event_time);
create index usage_records_suspense on usage_records (status_reason, event_time) where rating_status <> 'rated';
create index usage_records_rated_at on usage_records (rated_at);

create table bills (
    bill_id text primary key,
    customer_id text not null references customers,
    period text not null check (period ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    state text not null check (state in ('draft', 'final')),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    subtotal numeric(18, 3) not null,
    discount_total numeric(18, 3) not null,
    tax_total numeric(18, 3) not null,
    total numeric(18, 3) not null,
    invoice jsonb not null,
    -- empty while the bill is a draft
    issued_at timestamptz,
    -- what the export compares, so that an unchanged bill is not sent again
    digest text not null,
    -- usage charged in another currency than the plan's is a bill of its own
    unique (customer_id, period, currency),
    check (total = subtotal - discount_total + tax_total)
);

create index bills_period on bills (period, state);

create table bill_lines (
    bill_id text not null references bills on delete cascade,
    line_no int not null check (line_no > 0),
    kind text not null,
    description text not null,
    service text,
    zone text,
    quantity numeric(18, 6),
    amount numeric(18, 3) not null,
    discount numeric(18, 3) not null,
    tax_percent numeric(9, 6) not null,
    tax numeric(18, 3) not null,
    total numeric(18, 3) not null,
    usage_month text check (usage_month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    primary key (bill_id, line_no),
    check (total = amount - discount + tax)
);

-- A closed month never changes: an export that would change it fails, and publishes nothing.
create function guard_final_bill() returns trigger language plpgsql as $$
begin
    if old.state = 'final' then
        raise exception 'bill % of % is final and cannot change', old.bill_id, old.period;
    end if;
    return coalesce(new, old);
end
$$;

create trigger guard_final before update or delete on bills for each row execute function guard_final_bill();

-- Who may see what. The loader (Spark) reads what the pipeline needs and inserts through the export views. The reader
-- (reports, BI tools) has views in which every subscriber number is a keyed pseudonym: the same number gives the same
-- pseudonym, and without the key nobody can try numbers out. The key is in a table that only the owner reads, and the
-- hash is spelled out in the view instead of a function, because a function that the reader may call could be asked for
-- any number.

create schema private;
create schema reporting;

create table private.pseudonym_key (
    only_row boolean primary key default true check (only_row),
    -- the two padded keys of HMAC-SHA-256
    inner_pad bytea not null check (length(inner_pad) = 64),
    outer_pad bytea not null check (length(outer_pad) = 64)
);

create view export.usage_totals as
select
    (event_time at time zone 'UTC')::date as event_date,
    rating_status,
    count(*) as records,
    sum(cost)::numeric(38, 6) as cost
from usage_records
group by 1, 2;

create view export.bill_totals as
select
    bills.period,
    bills.state,
    count(*) as bills,
    sum(bills.total)::numeric(38, 3) as total,
    sum(lines.total)::numeric(38, 3) as line_total,
    sum(lines.line_count)::bigint as bill_lines
from bills
left join (
    select bill_id, sum(total) as total, count(*) as line_count
    from bill_lines
    group by bill_id
) as lines on bills.bill_id = lines.bill_id
group by bills.period, bills.state;

create view reporting.usage_records with (security_barrier) as
select
    record_id,
    customer_id,
    encode(sha256(outer_pad || sha256(inner_pad || convert_to(msisdn, 'UTF8'))), 'hex') as subscriber,
    -- a short code is a service, not a subscriber
    case
        when length(peer_msisdn) <= 6 then peer_msisdn
        else encode(sha256(outer_pad || sha256(inner_pad || convert_to(peer_msisdn, 'UTF8'))), 'hex')
    end as peer,
    record_type, event_time, rate_plan_id, product_id, zone, time_band, quantity, billed_units, connect_fee,
    usage_charge, promotion_id, promotion_amount, cost, currency, rating_status, status_reason, rated_at
from usage_records
cross join private.pseudonym_key;

create view reporting.customers with (security_barrier) as
select
    customer_id,
    encode(sha256(outer_pad || sha256(inner_pad || convert_to(msisdn, 'UTF8'))), 'hex') as subscriber,
    subscription_type, segment, rate_plan_id, customer_status, region, activation_date, termination_date, updated_at
from customers
cross join private.pseudonym_key;

create view reporting.bills with (security_barrier) as
select
    bill_id, customer_id, period, state, currency, subtotal, discount_total, tax_total, total, issued_at
from bills;

create view reporting.bill_lines as
select
    bill_id, line_no, kind, description, service, zone, quantity, amount, discount, tax_percent, tax, total, usage_month
from bill_lines;

create view reporting.products as select * from products;
create view reporting.rate_plans as select * from rate_plans;
create view reporting.product_rates as select * from product_rates;

grant usage on schema public, export to telecom_loader;
grant select on all tables in schema public to telecom_loader;
grant select, insert on export.usage_records, export.bills, export.bill_lines, export.publications to telecom_loader;
grant select on export.usage_totals, export.bill_totals to telecom_loader;

grant usage on schema reporting to telecom_reader;
grant select on all tables in schema reporting to telecom_reader;

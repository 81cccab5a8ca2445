-- A bill is the sum of its lines in every column, and its invoice asks for the same amount. PostgreSQL checks each row
-- by itself; that a bill and its lines were published together, only their sums tell.

with

bills as (

    select * from {{ source('served', 'bills') }}

),

lines as (

    select
        bill_id,
        sum(amount) as subtotal,
        sum(discount) as discount_total,
        sum(tax) as tax_total,
        sum(total) as total
    from {{ source('served', 'bill_lines') }}
    group by bill_id

)

select
    bills.bill_id,
    bills.total,
    lines.total as lines_total,
    bills.invoice -> 'amountDue' ->> 'value' as invoice_total
from bills
left join lines on bills.bill_id = lines.bill_id
where
    lines.bill_id is null
    or bills.subtotal <> lines.subtotal
    or bills.discount_total <> lines.discount_total
    or bills.tax_total <> lines.tax_total
    or bills.total <> lines.total
    or bills.total is distinct from (bills.invoice -> 'amountDue' ->> 'value')::numeric

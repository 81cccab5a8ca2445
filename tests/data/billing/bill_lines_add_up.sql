-- A bill is what its lines come to, to the last digit, and every line belongs to one. Would show a fault in the sharing
-- of discounts in bill_lines or in the sums of bills; without it the document a customer gets would not add up.

with

bills as (

    select * from {{ ref('bills') }}

),

lines as (

    select
        bill_id,
        sum(amount) as subtotal,
        sum(discount) as discount_total,
        sum(tax) as tax_total,
        sum(total) as total,
        max(line_no) as last_line_no,
        count(*) as line_count
    from {{ ref('bill_lines') }}
    group by bill_id

)

select bill_id, bills.total as bill_total, lines.total as line_total
from bills
full outer join lines using (bill_id)
where
    bills.total is null
    or lines.total is null
    or bills.subtotal <> lines.subtotal
    or bills.discount_total <> lines.discount_total
    or bills.tax_total <> lines.tax_total
    or bills.total <> lines.total
    or bills.total <> bills.subtotal - bills.discount_total + bills.tax_total
    or lines.last_line_no <> lines.line_count

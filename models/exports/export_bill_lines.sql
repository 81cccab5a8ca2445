{{ config(materialized='postgres_export', export_view='bill_lines') }}

with

changed_bills as (

    select bill_id from {{ ref('int_exports__changed_bills') }}

),

bill_lines as (

    select * from {{ ref('bill_lines') }}

),

lines_of_changed_bills as (

    select bill_lines.*
    from bill_lines
    left semi join changed_bills on bill_lines.bill_id = changed_bills.bill_id

)

select
    '{{ invocation_id }}' as run_id,
    bill_id,
    line_no,
    kind,
    description,
    service,
    zone,
    quantity,
    amount,
    discount,
    tax_percent,
    tax,
    total,
    usage_month
from lines_of_changed_bills

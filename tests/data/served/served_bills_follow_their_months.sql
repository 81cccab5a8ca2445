-- Bills of closed months are final and all others are drafts: a draft of a closed month would go on changing, a final
-- bill of an open one would miss what is used until the month ends.

with

closed as (

    select max(month) as month from {{ source('billing_control', 'billing_months') }}

)

select
    bills.bill_id,
    bills.period,
    bills.state
from {{ source('served', 'bills') }} as bills
cross join closed
where (bills.state = 'final') <> coalesce(to_date(bills.period, 'YYYY-MM') <= closed.month, false)

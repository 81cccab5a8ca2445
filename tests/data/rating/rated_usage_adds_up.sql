-- A record has a price exactly when it is rated, and then its parts make the price. Bills and the ledger sum these
-- columns one by one: a part that is off would show as money between two reports that nobody can explain.

with

rated_usage as (

    select * from {{ ref('rated_usage') }}

)

select record_id, rating_status, status_reason, connect_fee, usage_charge, promotion_amount, cost
from rated_usage
where not coalesce(
    case
        when rating_status = 'rated'
            then
                status_reason is null
                and customer_id is not null
                and rate_plan_id is not null
                and product_id is not null
                and time_band is not null
                and currency is not null
                and billed_units >= quantity
                and cost = connect_fee + usage_charge - promotion_amount
                and least(connect_fee, usage_charge) >= 0
        else
            status_reason is not null
            and coalesce(billed_units, connect_fee, usage_charge, promotion_amount, cost) is null
            and coalesce(promotion_id, currency) is null
            and charges is null
    end,
    false
)

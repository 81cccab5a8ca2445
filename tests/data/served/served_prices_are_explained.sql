-- A price in PostgreSQL says what it is made of: plan, product, band, units, currency, and the promotion where one
-- took something off. What has no price says nothing of the kind.

select record_id, rating_status, cost, promotion_id, promotion_amount
from {{ source('served', 'usage_records') }}
where
    case
        when rating_status = 'rated'
            then
                rate_plan_id is null
                or time_band is null
                or billed_units is null
                or currency is null
                or (promotion_amount <> 0 and promotion_id is null)
                or billed_units < quantity
        else coalesce(cost, 0) <> 0 or promotion_id is not null
    end

-- rated cost = prepaid + included in allowances + billed + open, by month and to the last decimal, once the rounding of
-- bill lines to the minor unit is taken into account. A difference is money that no bill shows, or that two show.

select
    usage_month, currency, rated_cost, prepaid_cost, included_amount, billed_amount, open_amount, rounding, difference
from {{ ref('assurance_monthly_totals') }}
where difference <> 0

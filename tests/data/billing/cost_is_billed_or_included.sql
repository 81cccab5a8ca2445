-- Every record's cost is on a bill or included in an allowance, and never both. Would show a fault in billed_usage, and
-- revenue that leaves without a trace.

select record_id, cost, billed_amount, included_amount, covered_units, billed_units
from {{ ref('billed_usage') }}
where
    cost <> billed_amount + included_amount
    or billed_amount < 0
    or included_amount < 0
    or covered_units < 0
    or covered_units > billed_units
    or (covered_units = 0 and included_amount <> 0)

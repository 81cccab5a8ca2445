-- received = normal + error + duplicate, by the day of landing. A difference is a message that was landed twice, or one
-- whose status nobody counts: it would be charged twice, or never.

select landed_on, received, normal, error, duplicate, landing_difference as difference
from {{ ref('assurance_daily_totals') }}
where landing_difference <> 0

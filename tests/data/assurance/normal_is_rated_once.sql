-- normal = rated + rejected + unmatched + error, by the day of landing. A difference is usage that rating lost or made
-- up: it would be missing on a bill, or on it twice.

select landed_on, normal, rated, rejected, unmatched, not_priced, rating_difference as difference
from {{ ref('assurance_daily_totals') }}
where rating_difference <> 0

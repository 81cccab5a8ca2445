-- Every offset between the first and the last of a partition was landed. A gap is messages that Kafka had and the
-- landing zone has not: nothing after it could ever find them missing.

select topic, partition, first_missing_offset, last_missing_offset, missing
from {{ ref('assurance_offset_gaps') }}

-- Every offset between the first and the last of a partition was landed. A gap is messages that Kafka had and the
-- landing zone has not: nothing after it could ever find them missing.
-- What somebody accepted as lost (`accepted_offset_gaps` in dbt_project.yml) stays in the table and fails no run.

select topic, partition, first_missing_offset, last_missing_offset, missing
from {{ ref('assurance_offset_gaps') }}
where concat(topic, '/', partition, '/', first_missing_offset, '-', last_missing_offset) not in (
    {%- for gap in var('accepted_offset_gaps') %}
    '{{ gap }}',
    {%- endfor %}
    ''
)

{{ config(materialized='postgres_export', export_view='usage_records') }}

with

rated_usage as (

    select * from {{ ref('rated_usage') }}

),

-- A run gives everything that it rates one rated_at, later than any before: what PostgreSQL has is known by its latest.
served as (

    select coalesce(max(rated_at), timestamp '0001-01-01') as rated_until
    from {{ source('served', 'usage_records') }}

),

rated_since as (

    select rated_usage.*
    from rated_usage
    {%- if not flags.FULL_REFRESH %}
    where rated_at > (select served.rated_until from served)
    {%- endif %}

)

select
    '{{ invocation_id }}' as run_id,
    record_id,
    customer_id,
    msisdn,
    peer_msisdn,
    record_type,
    event_time,
    rate_plan_id,
    product_id,
    zone,
    time_band,
    quantity,
    billed_units,
    connect_fee,
    usage_charge,
    promotion_id,
    promotion_amount,
    cost,
    currency,
    rating_status,
    status_reason,
    rated_at
from rated_since

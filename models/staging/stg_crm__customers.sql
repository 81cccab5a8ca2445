with

history as (

    select * from {{ ref('customers_snapshot') }}

),

versions as (

    select
        *,
        to_utc_timestamp(cast(activation_date as timestamp), '{{ var("rating_timezone") }}') as activated_at,
        row_number() over (partition by customer_id order by dbt_valid_from) = 1 as is_first_version
    from history

),

dated as (

    -- The first snapshot comes after the first call: a customer's first version holds from the activation on.
    select
        customer_id,
        msisdn,
        customer_name,
        subscription_type,
        segment,
        rate_plan_id,
        customer_status,
        region,
        activation_date,
        termination_date,
        case when is_first_version then activated_at else greatest(dbt_valid_from, activated_at) end as valid_from,
        dbt_valid_to as valid_to
    from versions

)

select * from dated
where valid_to is null or valid_to > valid_from

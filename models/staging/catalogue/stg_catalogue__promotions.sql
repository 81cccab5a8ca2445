with

source as (

    select * from {{ catalogue_table(ref('promotions'), source('catalogue', 'promotions')) }}

),

typed as (

    select
        cast(promotion_id as {{ dbt.type_string() }}) as promotion_id,
        cast(promotion_name as {{ dbt.type_string() }}) as promotion_name,
        cast(rate_plan_id as {{ dbt.type_string() }}) as rate_plan_id,
        cast(service_type as {{ dbt.type_string() }}) as service_type,
        cast(zone as {{ dbt.type_string() }}) as zone,
        cast(time_band as {{ dbt.type_string() }}) as time_band,
        cast(segment as {{ dbt.type_string() }}) as segment,
        cast(discount_percent as decimal(18, 6)) as discount_percent,
        cast(priority as int) as priority,
        cast(valid_from as date) as valid_from,
        cast(valid_to as date) as valid_to
    from source

)

select * from typed

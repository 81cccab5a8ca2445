with

source as (

    select * from {{ catalogue_table(ref('discounts'), source('catalogue', 'discounts')) }}

),

typed as (

    select
        cast(discount_id as {{ dbt.type_string() }}) as discount_id,
        cast(discount_name as {{ dbt.type_string() }}) as discount_name,
        cast(rate_plan_id as {{ dbt.type_string() }}) as rate_plan_id,
        cast(segment as {{ dbt.type_string() }}) as segment,
        cast(kind as {{ dbt.type_string() }}) as kind,
        cast(value as decimal(18, 6)) as value,
        cast(minimum_subtotal as decimal(18, 6)) as minimum_subtotal,
        cast(priority as int) as priority,
        cast(valid_from as date) as valid_from,
        cast(valid_to as date) as valid_to
    from source

)

select * from typed

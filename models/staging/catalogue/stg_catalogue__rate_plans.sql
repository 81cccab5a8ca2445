with

source as (

    select * from {{ catalogue_table(ref('rate_plans'), source('catalogue', 'rate_plans')) }}

),

typed as (

    select
        cast(rate_plan_id as {{ dbt.type_string() }}) as rate_plan_id,
        cast(rate_plan_name as {{ dbt.type_string() }}) as rate_plan_name,
        cast(currency as {{ dbt.type_string() }}) as currency,
        cast(monthly_fee as decimal(18, 6)) as monthly_fee,
        cast(minimum_spend as decimal(18, 6)) as minimum_spend,
        cast(valid_from as date) as valid_from,
        cast(valid_to as date) as valid_to
    from source

)

select * from typed

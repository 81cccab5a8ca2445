with

source as (

    select * from {{ catalogue_table(ref('allowances'), source('catalogue', 'allowances')) }}

),

typed as (

    select
        cast(allowance_id as {{ dbt.type_string() }}) as allowance_id,
        cast(rate_plan_id as {{ dbt.type_string() }}) as rate_plan_id,
        cast(service_type as {{ dbt.type_string() }}) as service_type,
        cast(zone as {{ dbt.type_string() }}) as zone,
        cast(included_units as decimal(18, 6)) as included_units,
        cast(rollover_units_max as decimal(18, 6)) as rollover_units_max,
        cast(priority as int) as priority,
        cast(valid_from as date) as valid_from,
        cast(valid_to as date) as valid_to
    from source

)

select * from typed

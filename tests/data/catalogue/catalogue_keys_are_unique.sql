{{ config(tags=['catalogue']) }}

-- A key has one row, and where rows are versions of one thing, one of them holds on a day. Two that hold would make
-- rating refuse the record (AMBIGUOUS_RATE), or would charge a fee or a tax twice without anybody noticing.

with

keys as (

    select 'products' as seed, product_id as id from {{ ref('stg_catalogue__products') }}
    union all
    select 'product_rates' as seed, product_rate_id as id from {{ ref('stg_catalogue__product_rates') }}
    union all
    select 'destination_prefixes' as seed, prefix as id from {{ ref('stg_catalogue__destination_prefixes') }}
    union all
    select 'cell_zones' as seed, cell_prefix as id from {{ ref('stg_catalogue__cell_zones') }}
    union all
    select 'time_bands' as seed, concat_ws('/', time_band, day_type, starts_at) as id
    from {{ ref('stg_catalogue__time_bands') }}
    union all
    select 'holidays' as seed, cast(holiday_date as {{ dbt.type_string() }}) as id
    from {{ ref('stg_catalogue__holidays') }}
    union all
    select 'customer_status_rules' as seed, customer_status as id
    from {{ ref('stg_catalogue__customer_status_rules') }}

),

duplicated as (

    select
        seed,
        id,
        concat('is there ', cast(count(*) as {{ dbt.type_string() }}), ' times') as fault
    from keys
    group by seed, id
    having count(*) > 1

),

-- What the rows of one thing have in common, step by step for a rate; a tax is what it applies to, whatever its id.
versions as (

    select
        'rate_plans' as seed,
        rate_plan_id as id,
        rate_plan_id as thing,
        valid_from,
        valid_to
    from {{ ref('stg_catalogue__rate_plans') }}

    union all

    select
        'product_rates' as seed,
        product_rate_id as id,
        concat_ws('/', rate_plan_id, product_id, zone, time_band, cast(from_unit as {{ dbt.type_string() }})) as thing,
        valid_from,
        valid_to
    from {{ ref('stg_catalogue__product_rates') }}

    union all

    select
        'promotions' as seed,
        promotion_id as id,
        promotion_id as thing,
        valid_from,
        valid_to
    from {{ ref('stg_catalogue__promotions') }}

    union all

    select
        'allowances' as seed,
        allowance_id as id,
        allowance_id as thing,
        valid_from,
        valid_to
    from {{ ref('stg_catalogue__allowances') }}

    union all

    select
        'discounts' as seed,
        discount_id as id,
        discount_id as thing,
        valid_from,
        valid_to
    from {{ ref('stg_catalogue__discounts') }}

    union all

    select
        'tax_rates' as seed,
        tax_id as id,
        concat_ws('/', applies_to, region) as thing,
        valid_from,
        valid_to
    from {{ ref('stg_catalogue__tax_rates') }}

),

followed as (

    select
        *,
        lead(id) over (partition by seed, thing order by valid_from, id) as next_id,
        lead(valid_from) over (partition by seed, thing order by valid_from, id) as next_valid_from
    from versions

),

overlapping as (

    select
        seed,
        id,
        concat(
            'overlaps ', next_id, ' from ', cast(next_valid_from as {{ dbt.type_string() }}), ' on (', thing, ')'
        ) as fault
    from followed
    where next_valid_from < coalesce(valid_to, date '9999-12-31')

)

select * from duplicated
union all
select * from overlapping

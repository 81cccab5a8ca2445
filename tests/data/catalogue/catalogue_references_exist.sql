{{ config(tags=['catalogue']) }}

-- Whatever a row names is there: plan, product, zone, band, and a rule for every customer status. A misspelt name
-- matches nothing, so a rate would never apply and a promotion never be given, in silence.

with

plans as (

    select rate_plan_id as name from {{ ref('stg_catalogue__rate_plans') }}

),

products as (

    select product_id as name from {{ ref('stg_catalogue__products') }}

),

zones as (

    select zone as name from {{ ref('stg_catalogue__destination_prefixes') }}
    union
    select zone as name from {{ ref('stg_catalogue__cell_zones') }}
    union
    -- where a data session's cell is in no list
    select 'home' as name

),

bands as (

    select time_band as name from {{ ref('stg_catalogue__time_bands') }}

),

statuses as (

    select customer_status as name from {{ ref('stg_catalogue__customer_status_rules') }}

),

named as (

    select 'product_rates' as seed, product_rate_id as id, rate_plan_id, product_id, zone, time_band
    from {{ ref('stg_catalogue__product_rates') }}

    union all

    select 'promotions' as seed, promotion_id as id, rate_plan_id, '*' as product_id, zone, time_band
    from {{ ref('stg_catalogue__promotions') }}

    union all

    select 'allowances' as seed, allowance_id as id, rate_plan_id, '*' as product_id, zone, '*' as time_band
    from {{ ref('stg_catalogue__allowances') }}

    union all

    select 'discounts' as seed, discount_id as id, rate_plan_id, '*' as product_id, '*' as zone, '*' as time_band
    from {{ ref('stg_catalogue__discounts') }}

),

references_checked as (

    select
        seed,
        id,
        concat_ws(
            '; ',
            case
                when
                    rate_plan_id not in (select plans.name from plans)
                    and (seed = 'product_rates' or rate_plan_id <> '*')
                    then concat('unknown rate_plan_id ', rate_plan_id)
            end,
            case
                when
                    product_id not in (select products.name from products)
                    and (seed = 'product_rates' or product_id <> '*')
                    then concat('unknown product_id ', product_id)
            end,
            case
                when zone <> '*' and zone not in (select zones.name from zones) then concat('unknown zone ', zone)
            end,
            case
                when time_band <> '*' and time_band not in (select bands.name from bands)
                    then concat('unknown time_band ', time_band)
            end
        ) as fault
    from named

),

statuses_checked as (

    select
        'customer_status_rules' as seed,
        expected.customer_status as id,
        'has no rule' as fault
    from (
        select 'active' as customer_status
        union all
        select 'suspended' as customer_status
        union all
        select 'terminated' as customer_status
        union all
        select 'pending' as customer_status
    ) as expected
    where expected.customer_status not in (select statuses.name from statuses)

)

select * from references_checked
where fault <> ''
union all
select * from statuses_checked

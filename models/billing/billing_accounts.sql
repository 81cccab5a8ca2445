with

versions as (

    select * from {{ ref('stg_crm__customers') }}

),

months as (

    select * from {{ ref('billing_calendar') }}

),

plans as (

    select * from {{ ref('stg_catalogue__rate_plans') }}

),

-- plan, segment, region and name that decide discounts, taxes and the address are those at the end of the month
last_versions as (

    select
        versions.customer_id,
        months.month,
        months.period,
        months.next_month,
        max_by(
            struct(versions.customer_name, versions.msisdn, versions.rate_plan_id, versions.segment, versions.region),
            versions.valid_from
        ) as facts
    from versions
    inner join months on versions.valid_from < {{ billing_day_start('months.next_month') }}
    group by versions.customer_id, months.month, months.period, months.next_month

)

select
    last_versions.customer_id,
    last_versions.month,
    last_versions.period,
    last_versions.facts.customer_name,
    last_versions.facts.msisdn,
    last_versions.facts.rate_plan_id,
    last_versions.facts.segment,
    last_versions.facts.region,
    plans.rate_plan_name,
    plans.currency
from last_versions
left join plans
    on last_versions.facts.rate_plan_id = plans.rate_plan_id
    and {{ valid_on('plans', 'date_sub(last_versions.next_month, 1)') }}

{{ config(materialized='ephemeral') }}

with

rated as (

    select * from {{ ref('rated_usage') }}
    where rating_status = 'rated' and subscription_type = 'postpaid'

),

allowances as (

    select * from {{ ref('stg_catalogue__allowances') }}

),

plans as (

    select distinct rate_plan_id from {{ ref('stg_catalogue__rate_plans') }}

),

services as (

    select explode(array('voice', 'sms', 'data')) as service

),

-- one row a plan and service, with its allowances in the order in which they match
allowances_of_plan as (

    select
        plans.rate_plan_id,
        services.service,
        array_sort(collect_list(struct(
            allowances.priority, allowances.allowance_id, allowances.zone, allowances.valid_from, allowances.valid_to
        ))) as candidates
    from allowances
    inner join plans on allowances.rate_plan_id in (plans.rate_plan_id, '*')
    inner join services
        on allowances.service_type in (services.service, '*')
    group by plans.rate_plan_id, services.service

),

matched as (

    select
        rated.record_id,
        rated.customer_id,
        cast(trunc({{ billing_date('rated.event_time') }}, 'month') as date) as month,
        rated.event_time,
        rated.record_type as service,
        rated.zone,
        rated.currency,
        rated.promotion_id,
        rated.quantity,
        rated.billed_units,
        rated.usage_charge,
        rated.cost,
        get(
            filter(
                allowances_of_plan.candidates,
                a -> (a.zone = rated.zone or a.zone = '*')
                and {{ valid_on('a', 'cast(' ~ local_time('rated.event_time') ~ ' as date)') }}
            ),
            0
        ).allowance_id as allowance_id
    from rated
    left join allowances_of_plan
        on rated.rate_plan_id = allowances_of_plan.rate_plan_id and rated.record_type = allowances_of_plan.service

)

select * from matched

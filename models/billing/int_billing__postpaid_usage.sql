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

allowances_of_service as (

    select
        plans.rate_plan_id,
        services.service,
        allowances.allowance_id,
        allowances.zone,
        allowances.priority,
        allowances.valid_from,
        allowances.valid_to
    from allowances
    inner join plans on allowances.rate_plan_id in (plans.rate_plan_id, '*')
    inner join services on allowances.service_type in (services.service, '*')

),

-- zones that no allowance names fare alike: they share what holds for `*`
zones as (

    select rate_plan_id, service, zone from allowances_of_service
    union
    select rate_plan_id, service, '*' as zone from allowances_of_service

),

changes as (

    select distinct rate_plan_id, service, explode(array(date '0001-01-01', valid_from, valid_to)) as changes_on
    from allowances_of_service

),

periods as (

    select
        rate_plan_id,
        service,
        changes_on as valid_from,
        lead(changes_on) over (partition by rate_plan_id, service order by changes_on) as valid_to
    from changes
    where changes_on is not null

),

-- the allowance that takes the usage of a zone and time, if any does
allowances_in_force as (

    select
        zones.rate_plan_id,
        zones.service,
        zones.zone,
        periods.valid_from,
        periods.valid_to,
        min_by(candidates.allowance_id, struct(candidates.priority, candidates.allowance_id)) as allowance_id
    from zones
    inner join periods on zones.rate_plan_id = periods.rate_plan_id and zones.service = periods.service
    inner join allowances_of_service as candidates
        on zones.rate_plan_id = candidates.rate_plan_id
        and zones.service = candidates.service
        and candidates.zone in (zones.zone, '*')
        and {{ valid_on('candidates', 'periods.valid_from') }}
    group by zones.rate_plan_id, zones.service, zones.zone, periods.valid_from, periods.valid_to

),

-- few enough to be at hand everywhere: searching a list of them with every record took twice as long
matched as (

    select /*+ broadcast(zones, allowances_in_force) */
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
        allowances_in_force.allowance_id
    from rated
    left join zones
        on rated.rate_plan_id = zones.rate_plan_id
        and rated.record_type = zones.service
        and rated.zone = zones.zone
    left join allowances_in_force
        on rated.rate_plan_id = allowances_in_force.rate_plan_id
        and rated.record_type = allowances_in_force.service
        and coalesce(zones.zone, '*') = allowances_in_force.zone
        and {{ valid_on('allowances_in_force', 'cast(' ~ local_time('rated.event_time') ~ ' as date)') }}

)

select * from matched

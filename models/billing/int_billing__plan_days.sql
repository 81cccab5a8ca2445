{{ config(materialized='ephemeral') }}

with

customers as (

    select * from {{ ref('stg_crm__customers') }}

),

months as (

    select * from {{ ref('billing_calendar') }}

),

plans as (

    select * from {{ ref('stg_catalogue__rate_plans') }}

),

-- a day belongs to the version that holds at its end, as activation counts its day and termination does not;
-- a termination that the CRM learnt of late still ends the days
versions as (

    select
        customer_id,
        rate_plan_id,
        subscription_type,
        activation_date,
        least(
            termination_date,
            max_by(termination_date, valid_from) over (partition by customer_id),
            {{ billing_date('valid_to') }},
            date '9999-12-31'
        ) as end_day,
        greatest(activation_date, {{ billing_date('valid_from') }}) as first_day
    from customers

),

days as (

    select
        versions.customer_id,
        months.month,
        months.period,
        months.has_usage,
        months.is_closed,
        months.days_in_month,
        plans.rate_plan_id,
        plans.rate_plan_name,
        plans.valid_from as plan_valid_from,
        plans.currency,
        plans.monthly_fee,
        plans.minimum_spend,
        greatest(versions.first_day, months.month, plans.valid_from) as first_day,
        least(versions.end_day, months.next_month, plans.valid_to) as end_day
    from versions
    inner join months
        on versions.first_day < months.next_month and versions.end_day > months.month
    inner join plans on versions.rate_plan_id = plans.rate_plan_id
    where versions.subscription_type = 'postpaid' and versions.activation_date is not null

)

select
    *,
    datediff(end_day, first_day) as days
from days
where first_day < end_day

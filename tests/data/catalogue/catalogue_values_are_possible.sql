{{ config(tags=['catalogue']) }}

-- Every value of the catalogue is one that rating and billing can work with. A price below zero would pay people for
-- calling, a pulse of length 0 would never end, a misspelt day type would leave its hours without a rate.

with

checked as (

    select
        'products' as seed,
        product_id as id,
        concat_ws(
            '; ',
            {{ missing('product_id', 'service_type', 'unit') }},
            {{ not_one_of('service_type', 'voice', 'sms', 'data') }},
            {{ not_one_of('unit', 'second', 'message', 'megabyte') }},
            case
                when concat(service_type, ' ', unit) not in ('voice second', 'sms message', 'data megabyte')
                    then 'unit does not fit service_type'
            end
        ) as fault
    from {{ ref('stg_catalogue__products') }}

    union all

    select
        'rate_plans' as seed,
        rate_plan_id as id,
        concat_ws(
            '; ',
            {{ missing('rate_plan_id', 'currency', 'monthly_fee', 'minimum_spend', 'valid_from') }},
            {{ negative('monthly_fee', 'minimum_spend') }},
            case when not regexp_like(currency, '^[A-Z]{3}$') then 'currency is not an ISO 4217 code' end,
            case when valid_to <= valid_from then 'valid_to is not after valid_from' end
        ) as fault
    from {{ ref('stg_catalogue__rate_plans') }}

    union all

    select
        'product_rates' as seed,
        product_rate_id as id,
        concat_ws(
            '; ',
            {{ missing(
                'product_rate_id', 'rate_plan_id', 'product_id', 'zone', 'time_band', 'from_unit', 'unit_price',
                'unit_size', 'initial_increment', 'increment', 'connect_fee', 'rounding_mode', 'rounding_scale',
                'valid_from'
            ) }},
            {{ negative('from_unit', 'unit_price', 'connect_fee', 'max_charge') }},
            {{ not_one_of('rounding_mode', 'up', 'half_up', 'down') }},
            case when unit_size <= 0 then 'unit_size is not above 0' end,
            case when initial_increment <= 0 then 'initial_increment is not above 0' end,
            case when increment <= 0 then 'increment is not above 0' end,
            case when rounding_scale not between 0 and 6 then 'rounding_scale is not from 0 to 6' end,
            case when valid_to <= valid_from then 'valid_to is not after valid_from' end
        ) as fault
    from {{ ref('stg_catalogue__product_rates') }}

    union all

    select
        'destination_prefixes' as seed,
        prefix as id,
        concat_ws(
            '; ',
            {{ missing('prefix', 'zone') }},
            case when not regexp_like(prefix, '^([0-9]{1,15}|[*])$') then 'prefix is not made of digits' end
        ) as fault
    from {{ ref('stg_catalogue__destination_prefixes') }}

    union all

    select
        'cell_zones' as seed,
        cell_prefix as id,
        concat_ws(
            '; ',
            {{ missing('cell_prefix', 'zone') }}
        ) as fault
    from {{ ref('stg_catalogue__cell_zones') }}

    union all

    select
        'time_bands' as seed,
        concat_ws('/', time_band, day_type, starts_at) as id,
        concat_ws(
            '; ',
            {{ missing('time_band', 'day_type', 'starts_at', 'ends_at') }},
            {{ not_one_of('day_type', 'weekday', 'saturday', 'sunday', 'holiday') }},
            case when not regexp_like(starts_at, '^([01][0-9]|2[0-3]):[0-5][0-9]$') then 'starts_at is not HH:MM' end,
            case
                when not regexp_like(ends_at, '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$')
                    then 'ends_at is not HH:MM up to 24:00'
            end,
            case
                when ends_at <= starts_at
                    then 'ends_at is not after starts_at, and a band over midnight has two rows'
            end
        ) as fault
    from {{ ref('stg_catalogue__time_bands') }}

    union all

    select
        'holidays' as seed,
        cast(holiday_date as {{ dbt.type_string() }}) as id,
        concat_ws(
            '; ',
            {{ missing('holiday_date') }}
        ) as fault
    from {{ ref('stg_catalogue__holidays') }}

    union all

    select
        'promotions' as seed,
        promotion_id as id,
        concat_ws(
            '; ',
            {{ missing(
                'promotion_id', 'rate_plan_id', 'service_type', 'zone', 'time_band', 'segment', 'discount_percent',
                'priority', 'valid_from'
            ) }},
            {{ not_one_of('service_type', 'voice', 'sms', 'data', '*') }},
            {{ not_one_of('segment', 'consumer', 'student', 'business', 'vip', '*') }},
            case when discount_percent not between 0 and 100 then 'discount_percent is not from 0 to 100' end,
            case when valid_to <= valid_from then 'valid_to is not after valid_from' end
        ) as fault
    from {{ ref('stg_catalogue__promotions') }}

    union all

    select
        'customer_status_rules' as seed,
        customer_status as id,
        concat_ws(
            '; ',
            {{ missing('customer_status', 'ratable') }},
            {{ not_one_of('customer_status', 'active', 'suspended', 'terminated', 'pending') }},
            case when not ratable and reason is null then 'reason is missing' end
        ) as fault
    from {{ ref('stg_catalogue__customer_status_rules') }}

    union all

    select
        'allowances' as seed,
        allowance_id as id,
        concat_ws(
            '; ',
            {{ missing(
                'allowance_id', 'rate_plan_id', 'service_type', 'zone', 'included_units', 'rollover_units_max',
                'priority', 'valid_from'
            ) }},
            {{ negative('included_units', 'rollover_units_max') }},
            {{ not_one_of('service_type', 'voice', 'sms', 'data', '*') }},
            case when valid_to <= valid_from then 'valid_to is not after valid_from' end
        ) as fault
    from {{ ref('stg_catalogue__allowances') }}

    union all

    select
        'discounts' as seed,
        discount_id as id,
        concat_ws(
            '; ',
            {{ missing(
                'discount_id', 'rate_plan_id', 'segment', 'kind', 'value', 'minimum_subtotal', 'priority', 'valid_from'
            ) }},
            {{ negative('value', 'minimum_subtotal') }},
            {{ not_one_of('segment', 'consumer', 'student', 'business', 'vip', '*') }},
            {{ not_one_of('kind', 'percent', 'fixed') }},
            case when kind = 'percent' and value > 100 then 'value is above 100 percent' end,
            case when valid_to <= valid_from then 'valid_to is not after valid_from' end
        ) as fault
    from {{ ref('stg_catalogue__discounts') }}

    union all

    select
        'tax_rates' as seed,
        tax_id as id,
        concat_ws(
            '; ',
            {{ missing('tax_id', 'applies_to', 'region', 'percent', 'valid_from') }},
            {{ not_one_of('applies_to', 'voice', 'sms', 'data', 'fee', '*') }},
            case when percent not between 0 and 100 then 'percent is not from 0 to 100' end,
            case when valid_to <= valid_from then 'valid_to is not after valid_from' end
        ) as fault
    from {{ ref('stg_catalogue__tax_rates') }}

)

select
    seed,
    coalesce(id, '(no id)') as id,
    fault
from checked
where fault <> ''

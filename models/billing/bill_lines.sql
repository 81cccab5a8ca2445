with

charges as (

    select * from {{ ref('bill_charges') }}

),

discounts as (

    select bill_id, cast(sum(amount) as decimal(18, 3)) as amount
    from {{ ref('bill_discounts') }}
    group by bill_id

),

numbered as (

    select
        charges.*,
        coalesce(discounts.amount, 0) as bill_discount,
        cast(row_number() over (
            partition by charges.bill_id
            order by
                case charges.kind when 'usage' then 1 when 'fee' then 2 when 'minimum_spend' then 3 else 4 end,
                charges.usage_month,
                case charges.service when 'voice' then 1 when 'sms' then 2 else 3 end,
                charges.zone,
                charges.rate_plan_name,
                charges.quantity,
                charges.amount
        ) as int) as line_no
    from charges
    left join discounts on charges.bill_id = discounts.bill_id

),

in_minor_units as (

    select
        *,
        {{ in_minor_units('amount', 'currency') }} as amount_units,
        {{ in_minor_units('bill_discount', 'currency') }} as discount_units,
        {{ in_minor_units('sum(amount) over (partition by bill_id)', 'currency') }} as subtotal_units
    from numbered

),

-- largest remainder: every line gets its share rounded down, and the units that are left go one each to the lines
-- that lost most, the first line first among equals
shared as (

    select
        *,
        if(discount_units = 0, 0, pmod(discount_units * amount_units, subtotal_units)) as remainder,
        if(
            discount_units = 0,
            0,
            (discount_units * amount_units - pmod(discount_units * amount_units, subtotal_units)) div subtotal_units
        ) as share_units
    from in_minor_units

),

ranked as (

    select
        *,
        discount_units - sum(share_units) over (partition by bill_id) as units_left,
        row_number() over (partition by bill_id order by remainder desc, line_no asc) as turn
    from shared

),

discounted as (

    select
        *,
        {{ from_minor_units('(share_units + if(turn <= units_left, 1, 0))', 'currency') }} as discount
    from ranked

),

taxed as (

    select
        *,
        {{ round_to_minor_unit('(amount - discount) * tax_percent * 0.01', 'currency') }} as tax
    from discounted

)

select
    bill_id,
    line_no,
    customer_id,
    period,
    currency,
    kind,
    description,
    service,
    zone,
    quantity,
    billed_units,
    covered_units,
    records,
    amount,
    discount,
    tax_name,
    tax_percent,
    tax,
    cast(amount - discount + tax as decimal(18, 3)) as total,
    usage_month
from taxed

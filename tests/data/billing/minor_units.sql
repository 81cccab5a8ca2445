-- The money macros on values that are known to go wrong: halves, credits, currencies of 0 and 3 decimals, a quotient
-- that two roundings would push over the half.

with

rounded as (

    select
        amount,
        currency,
        expected,
        {{ round_to_minor_unit('amount', 'currency') }} as rounded,
        {{ from_minor_units(in_minor_units('expected', 'currency'), 'currency') }} as there_and_back
    from
        values
        (2.345000, 'MAD', 2.350),
        (2.344999, 'EUR', 2.340),
        (-2.345000, 'MAD', -2.350),
        (0.500000, 'JPY', 1.000),
        (1234.499999, 'JPY', 1234.000),
        (1.000500, 'TND', 1.001),
        (0.000000, 'MAD', 0.000) as cases (amount, currency, expected)

),

quotients as (

    select
        numerator,
        denominator,
        expected,
        {{ half_up_quotient(['numerator', '1'], ['denominator']) }} as quotient
    from
        values
        (5, 2, 3), (4, 2, 2), (1, 3, 0), (2, 3, 1), (0, 7, 0),
        -- half up on the way would make it a half, and then 1
        (cast('999999999999999999' as decimal(38, 0)), cast('2000000000000000000' as decimal(38, 0)), 0),
        (cast('99999999999999999999999999999999999999' as decimal(38, 0)), 1, null)
            as cases (numerator, denominator, expected)

)

select cast(amount as string) as given, cast(expected as string) as expected, cast(rounded as string) as found
from rounded
where rounded <> expected or there_and_back <> expected
union all
select
    concat(numerator, ' / ', denominator) as given,
    cast(expected as string) as expected,
    cast(quotient as string) as found
from quotients
where quotient is distinct from expected

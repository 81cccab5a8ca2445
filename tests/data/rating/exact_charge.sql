-- Units go into millionths and back without loss, a charge keeps its 18 decimals, and what does not fit is null. A
-- charge that silently lost its scale would be right for round prices and wrong for thirds.

with

cases as (

    select
        cast(unit_price as decimal(18, 6)) as unit_price,
        cast(units as decimal(18, 6)) as units,
        cast(unit_size as decimal(18, 6)) as unit_size,
        cast(expected as decimal(36, 18)) as expected
    from
        values
        ('0.1', '20', '60', '0.033333333333333333'),
        ('0.6', '61', '60', '0.61'),
        ('0.000001', '0.000001', '1', '0.000000000001'),
        ('999999.999999', '86400', '1', '86399999999.9136'),
        ('999999999999', '999999999999', '1', null)
            as cases (unit_price, units, unit_size, expected)

),

charged as (

    select
        *,
        {{ exact_charge('unit_price', millionths('units'), 'unit_size') }} as found,
        {{ from_millionths(millionths('units')) }} as units_again
    from cases

)

select * from charged
where not (found <=> expected) or not (units_again <=> units) or {{ endless() }} <= {{ millionths('units') }}

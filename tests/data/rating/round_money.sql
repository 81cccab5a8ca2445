-- The macro rounds as contract.md §4 says, at scales that come from a column. An amount that is rounded a second time,
-- or whose product loses decimals, would put every price of a tariff off by a cent.

with

cases as (

    select
        cast(amount as decimal(28, 16)) as amount,
        mode,
        cast(units_per_one as decimal(7, 0)) as units_per_one,
        cast(expected as decimal(18, 6)) as expected
    from
        values
        ('1.0000000000000001', 'up', '100', '1.01'),
        ('1.0000000000000000', 'up', '100', '1.00'),
        ('1.0099999999999999', 'down', '100', '1.00'),
        ('1.0050000000000000', 'half_up', '100', '1.01'),
        ('1.0049999999999999', 'half_up', '100', '1.00'),
        ('0.4999999999999999', 'half_up', '1', '0'),
        ('0.5', 'half_up', '1', '1'),
        ('0.1234565', 'half_up', '1000000', '0.123457'),
        ('0.0000001', 'up', '1000000', '0.000001'),
        ('999999999999.9999994', 'half_up', '1000000', '999999999999.999999'),
        ('0', 'up', '1', '0')
            as cases (amount, mode, units_per_one, expected)

),

rounded as (

    select *, {{ round_money('amount', rounding_addend('mode'), 'units_per_one', '1 / units_per_one') }} as found
    from cases

)

select * from rounded
where found <> expected or found is null

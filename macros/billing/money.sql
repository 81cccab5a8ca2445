{#- Digits after the point of a currency's minor unit (ISO 4217): none for the yen, three for the Tunisian dinar. -#}
{% macro minor_unit(currency) %}
    case
        when
            {{ currency }} in (
                'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF', 'XOF',
                'XPF'
            )
            then 0
        when {{ currency }} in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 3
        else 2
    end
{%- endmacro %}


{#- Half up (a credit rounds as the charge it takes back) to the minor unit of a currency; `round` takes only
    constants. -#}
{% macro round_to_minor_unit(amount, currency) %}
    cast(
        case {{ minor_unit(currency) }}
            when 0 then round({{ amount }}, 0)
            when 3 then round({{ amount }}, 3)
            else round({{ amount }}, 2)
        end as decimal(18, 3)
    )
{%- endmacro %}


{#- An amount in whole minor units, for arithmetic that must give out every one of them. -#}
{% macro in_minor_units(amount, currency) %}
    cast({{ amount }} * case {{ minor_unit(currency) }} when 0 then 1 when 3 then 1000 else 100 end as decimal(18, 0))
{%- endmacro %}


{% macro from_minor_units(units, currency) %}
    cast(
        {{ units }} * case {{ minor_unit(currency) }} when 0 then 1.000 when 3 then 0.001 else 0.010 end
        as decimal(18, 3)
    )
{%- endmacro %}


{#- Half up of a quotient of whole numbers that are not negative, as a whole number, exactly; both are lists of factors.
    Null where a product has more than 38 digits: an absurd record must not stop everybody's bills. -#}
{% macro half_up_quotient(numerator, denominator) -%}
    {%- set divisor = try_product(['2'] + denominator) -%}
    try_add({{ try_product(['2'] + numerator) }}, {{ try_product(denominator) }}) div {{ divisor }}
{%- endmacro %}


{% macro try_product(factors) -%}
    {%- set product = namespace(sql="cast(" ~ factors[0] ~ " as decimal(38, 0))") -%}
    {%- for factor in factors[1:] -%}
        {%- set product.sql = "try_multiply(" ~ product.sql ~ ", cast(" ~ factor ~ " as decimal(38, 0)))" -%}
    {%- endfor -%}
    {{ product.sql }}
{%- endmacro %}

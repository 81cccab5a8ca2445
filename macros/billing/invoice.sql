{#- Money as TM Forum writes it, {"unit":"MAD","value":12.30}; the type of the number decides its digits. -#}
{% macro tmf_money(amount, digits) -%}
    named_struct('unit', currency, 'value', cast({{ amount }} as decimal(18, {{ digits }})))
{%- endmacro %}


{#- A characteristic of a charge, left out where it has no value. -#}
{% macro tmf_characteristic(name, value, type) -%}
    if({{ value }} is null, null, named_struct('name', '{{ name }}', 'valueType', '{{ type }}', 'value', {{ value }}))
{%- endmacro %}


{#- A bill in the shape of TMF678 CustomerBill, with every amount at the digits of the bill's currency. -#}
{% macro tmf_customer_bill(digits) -%}
    to_json(named_struct(
        '@type', 'CustomerBill',
        'id', bill_id,
        'billNo', bill_id,
        'billDate', ends_at,
        'category', 'normal',
        'state', 'draft',
        'billingPeriod', named_struct(
            'startDateTime', starts_at,
            'endDateTime', ends_at
        ),
        'billingAccount', named_struct('@referredType', 'BillingAccount', 'id', customer_id, 'name', customer_name),
        'relatedParty', array(named_struct(
            '@referredType', 'Customer',
            'id', customer_id,
            'name', customer_name,
            'role', 'customer'
        )),
        'amountDue', {{ tmf_money('total', digits) }},
        'taxExcludedAmount', {{ tmf_money('subtotal - discount_total', digits) }},
        'taxIncludedAmount', {{ tmf_money('total', digits) }},
        'taxItem', transform(taxes, t -> named_struct(
            'taxCategory', t.tax_name,
            'taxRate', t.tax_percent,
            'taxAmount', {{ tmf_money('t.tax', digits) }}
        )),
        'subtotal', {{ tmf_money('subtotal', digits) }},
        'discount', transform(discounts, d -> named_struct(
            'id', d.discount_id,
            'name', d.discount_name,
            'percent', if(d.kind = 'percent', d.value, null),
            'amount', {{ tmf_money('d.amount', digits) }}
        )),
        'subscription', named_struct(
            'msisdn', msisdn,
            'ratePlan', rate_plan_name,
            'segment', segment,
            'region', region
        ),
        'allowance', transform(allowances, a -> named_struct(
            'id', a.allowance_id,
            'serviceType', a.service_type,
            'zone', a.zone,
            'includedUnits', a.included_units,
            'rolledOverUnits', a.rolled_over_units,
            'usedUnits', a.used_units
        )),
        'appliedCustomerBillingRate', transform(lines, l -> named_struct(
            '@type', 'AppliedCustomerBillingRate',
            'id', concat(bill_id, '-', l.line_no),
            'name', l.description,
            'type', l.kind,
            'date', ends_at,
            'isBilled', true,
            'periodCoverage', named_struct(
                'startDateTime', l.starts_at,
                'endDateTime', l.ends_at
            ),
            'discountAmount', {{ tmf_money('l.discount', digits) }},
            'taxExcludedAmount', {{ tmf_money('l.amount - l.discount', digits) }},
            'taxIncludedAmount', {{ tmf_money('l.total', digits) }},
            'appliedTax', array(named_struct(
                'taxCategory', l.tax_name,
                'taxRate', l.tax_percent,
                'taxAmount', {{ tmf_money('l.tax', digits) }}
            )),
            'characteristic', array_compact(array(
                {{ tmf_characteristic('service', 'l.service', 'string') }},
                {{ tmf_characteristic('zone', 'l.zone', 'string') }},
                {{ tmf_characteristic('quantity', 'cast(l.quantity as string)', 'number') }},
                {{ tmf_characteristic('unit', 'l.unit', 'string') }},
                {{ tmf_characteristic('billedUnits', 'cast(l.billed_units as string)', 'number') }},
                {{ tmf_characteristic('includedUnits', 'cast(l.covered_units as string)', 'number') }},
                {{ tmf_characteristic('records', 'cast(l.records as string)', 'number') }},
                {{ tmf_characteristic('usageMonth', 'l.usage_month', 'string') }}
            ))
        ))
    ))
{%- endmacro %}

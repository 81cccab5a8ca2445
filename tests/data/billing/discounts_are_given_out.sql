-- What the discounts take off a bill is what its lines lose, and no line loses more than it has. Would show a cent that
-- the largest remainder lost or gave twice.

with

given as (

    select bill_id, sum(amount) as amount
    from {{ ref('bill_discounts') }}
    group by bill_id

),

taken as (

    select
        bill_id,
        sum(discount) as amount,
        max(if(amount >= 0 and discount > amount, 1, 0)) as too_much
    from {{ ref('bill_lines') }}
    group by bill_id

)

select taken.bill_id, given.amount as given_amount, taken.amount as taken_amount
from taken
left join given on taken.bill_id = given.bill_id
where taken.amount <> coalesce(given.amount, 0) or taken.too_much = 1

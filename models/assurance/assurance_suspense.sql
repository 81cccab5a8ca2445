with

rated_usage as (

    select * from {{ ref('rated_usage') }}

),

-- what a unit of the service brought on average, where it could be priced
prices as (

    select
        record_type,
        currency,
        count(*) as records,
        cast(sum(cost) / nullif(sum(quantity), 0) as decimal(18, 6)) as price_per_unit
    from rated_usage
    where rating_status = 'rated'
    group by record_type, currency

),

-- one estimate a record: in the currency that most of the service is priced in
usual_prices as (

    select
        record_type,
        max_by(currency, records) as currency,
        max_by(price_per_unit, records) as price_per_unit
    from prices
    group by record_type

),

waiting as (

    select
        rating_status,
        status_reason,
        record_type,
        count(*) as records,
        cast(sum(quantity) as decimal(28, 6)) as quantity,
        min(event_time) as oldest_event_time
    from rated_usage
    where rating_status in ('unmatched', 'error')
    group by rating_status, status_reason, record_type

),

valued as (

    select
        waiting.*,
        usual_prices.currency,
        cast(waiting.quantity * usual_prices.price_per_unit as decimal(28, 6)) as estimated_value
    from waiting
    left join usual_prices on waiting.record_type = usual_prices.record_type

)

select * from valued

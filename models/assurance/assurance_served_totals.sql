-- PostgreSQL publishes first, then the two sides are compared.
-- depends_on: {{ ref('export_publication') }}

with

rated_usage as (

    select * from {{ ref('rated_usage') }}

),

bills as (

    select * from {{ ref('bills') }}

),

lines_of_bills as (

    select bill_id, count(*) as bill_lines
    from {{ ref('bill_lines') }}
    group by bill_id

),

served_usage as (

    select * from {{ source('served_totals', 'usage_totals') }}

),

served_bills as (

    select * from {{ source('served_totals', 'bill_totals') }}
    where state = 'draft'

),

computed as (

    select
        'usage_records' as published,
        cast(cast(event_time as date) as string) as period,
        rating_status as state,
        count(*) as row_count,
        0 as line_count,
        cast(coalesce(sum(cost), 0) as decimal(28, 6)) as amount
    from rated_usage
    group by cast(event_time as date), rating_status

    union all

    select
        'bills' as published,
        bills.period,
        bills.state,
        count(*) as row_count,
        sum(lines_of_bills.bill_lines) as line_count,
        cast(sum(bills.total) as decimal(28, 6)) as amount
    from bills
    inner join lines_of_bills on bills.bill_id = lines_of_bills.bill_id
    group by bills.period, bills.state

),

served as (

    select
        'usage_records' as published,
        cast(event_date as string) as period,
        rating_status as state,
        records as row_count,
        0 as line_count,
        cast(coalesce(cost, 0) as decimal(28, 6)) as amount
    from served_usage

    union all

    select
        'bills' as published,
        period,
        state,
        bills as row_count,
        bill_lines as line_count,
        cast(line_total as decimal(28, 6)) as amount
    from served_bills

),

compared as (

    select
        published,
        period,
        state,
        coalesce(computed.row_count, 0) as spark_rows,
        coalesce(served.row_count, 0) as postgres_rows,
        coalesce(computed.line_count, 0) as spark_lines,
        coalesce(served.line_count, 0) as postgres_lines,
        coalesce(computed.amount, 0) as spark_amount,
        coalesce(served.amount, 0) as postgres_amount
    from computed
    full outer join served using (published, period, state)

)

select * from compared

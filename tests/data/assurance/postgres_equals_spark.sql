-- PostgreSQL serves what Spark computed: rows, lines and money, for every day of usage and every month of drafts. A
-- difference is an export that was lost or made twice. To send all again:
--     dbt run --full-refresh --select models/exports

select
    published, period, state, spark_rows, postgres_rows, spark_lines, postgres_lines, spark_amount, postgres_amount,
    spark_amount - postgres_amount as difference
from {{ ref('assurance_served_totals') }}
where spark_rows <> postgres_rows or spark_lines <> postgres_lines or spark_amount <> postgres_amount

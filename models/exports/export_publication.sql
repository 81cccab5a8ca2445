{{ config(materialized='postgres_export', export_view='publications') }}

-- PostgreSQL publishes what the three models below staged under this run's id when this row arrives; were one of them
-- to fail, dbt would skip this model and readers would go on seeing the run before.
-- depends_on: {{ ref('export_usage_records') }}
-- depends_on: {{ ref('export_bills') }}
-- depends_on: {{ ref('export_bill_lines') }}

select '{{ invocation_id }}' as run_id

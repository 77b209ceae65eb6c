{#- Accepted observations of one data set, wide: one row per reporter, org unit, period and scope.

    Of all versions that a reporter sent, the accepted one as int_submission says; only the periods of
    the work list are read. -#}
{% macro accepted_observations(data_set) -%}
{%- set meta = data_set_meta(data_set) -%}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ forget_work('" ~ data_set ~ "') }}"
) }}
{%- set columns = {'submission_id': 'varchar', 'batch': 'varchar'} -%}
{%- for indicator in meta.indicators -%}
    {%- do columns.update({indicator.name: indicator.type}) -%}
{%- endfor %}
with landed as (
    {{ landed('cells', columns, data_set) }}
),

accepted as (
    select submission_id, batch, reporter, org_unit_code, period, scope
    from {{ ref('int_submission') }}
    where
        data_set = '{{ data_set }}'
        and status = 'accepted'
        and period in {{ work_periods(data_set) }}
)

select
    accepted.* exclude (batch),
    {% for indicator in meta.indicators -%}
    landed.{{ indicator.name }}{{ "," if not loop.last }}
    {% endfor %}
from accepted
inner join landed using (submission_id, batch)
{%- endmacro %}

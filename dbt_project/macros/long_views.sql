{#- The long view of figures: one row per org unit, indicator, period and basis.

    It reads what fct_<data_set> reads, not that view itself, which would be planned anew for every indicator. -#}
{% macro figures_long(data_sets) -%}
{{ config(materialized='view') }}
{%- set queries = [] -%}
{%- for data_set in data_sets -%}
{%- set meta = data_set_meta(data_set) -%}
{%- for stands_alone in [false, true] -%}
{%- set wide = ref(('obs_' if stands_alone else 'sum_') ~ data_set) -%}
{%- set columns = called(meta, 'name' if stands_alone else 'column') -%}
{%- for indicator in meta.indicators if not (stands_alone and is_counted(meta)) -%}
{%- set query %}
select
    org_unit_code,
    '{{ data_set }}.{{ indicator.name }}' as indicator_id,
    '{{ data_set }}' as data_set,
    '{{ indicator.name }}' as indicator,
    period,
    'as_reported' as basis,
    {% if indicator.kind == 'registry' -%}
    null
    {%- else -%}
    {{ indicator.name if stands_alone else indicator.name ~ '_own' }}
    {%- endif %}::decimal(28, 6) as own_value,
    {{ indicator.name ~ '_children' if indicator.additive and not stands_alone else 'null' }}::decimal(28, 6)
        as children_value,
    {% if indicator.kind == 'registry' -%}
    {{ registered(indicator) }}
    {%- elif indicator.numerator -%}
    {{ rate(indicator, columns) }}
    {%- else -%}
    {{ columns[indicator.name] }}
    {%- endif %}::decimal(28, 6) as total_value,
    {{ columns.get(indicator.numerator, 'null') }}::decimal(28, 6) as numerator,
    {{ columns.get(indicator.denominator, 'null') }}::decimal(28, 6) as denominator,
    {{ 'null' if stands_alone else indicator.name ~ '_claimed' }}::decimal(28, 6) as reported_total,
    {% if indicator.kind == 'registry' -%}
    0 as due,
    0 as received,
    'complete' as status
    {%- else -%}
    {%- set due = 'due_' ~ indicator.group -%}
    {%- set received = due if stands_alone else 'received_' ~ indicator.group -%}
    {{ due }} as due,
    {{ received }} as received,
    {{ standing(due, received) }} as status
    {%- endif %}
from {{ wide }}
{%- if stands_alone %}
where stands_alone
{%- endif %}
{%- endset -%}
{%- do queries.append(query) -%}
{%- endfor -%}
{%- endfor -%}
{%- endfor -%}
{{ queries | join('\nunion all\n') if queries else 'select 1 as not_compiled' }}
{%- endmacro %}

{#- The long view of accepted observations: one row per reporter, org unit, indicator, period and scope with a value. -#}
{% macro observations_long(data_sets) -%}
{{ config(materialized='view') }}
{%- set queries = [] -%}
{%- for data_set in data_sets -%}
{%- set wide = ref('obs_' ~ data_set) -%}
{%- for indicator in data_set_meta(data_set).indicators -%}
{%- set query %}
select
    submission_id,
    reporter,
    org_unit_code,
    '{{ data_set }}.{{ indicator.name }}' as indicator_id,
    '{{ data_set }}' as data_set,
    '{{ indicator.name }}' as indicator,
    period,
    scope,
    {{ indicator.name }}::decimal(28, 6) as value
from {{ wide }}
where {{ indicator.name }} is not null
{%- endset -%}
{%- do queries.append(query) -%}
{%- endfor -%}
{%- endfor -%}
{{ queries | join('\nunion all\n') if queries else 'select 1 as not_compiled' }}
{%- endmacro %}

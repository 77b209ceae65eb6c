{#- The long view of figures: one row per org unit, indicator, period and basis.

    It reads the tables that fct_<data_set> reads, not that view, which would be planned anew for every indicator. -#}
{% macro figures_long(data_sets) -%}
{{ config(materialized='view') }}
{{ figures_of(data_sets, {'sum_': 'as_reported', 'obs_': 'as_reported'}) }}
union all
select * from {{ ref('int_restated_figure') }}
{%- endmacro %}

{#- The long table of restated figures, which are few: one row per org unit, indicator and period. -#}
{% macro restated_figures_long(data_sets) -%}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ forget_work() }}"
) }}
select figure.*
from (
    {{ figures_of(data_sets, {'restated_': 'restated'}) }}
) as figure
inner join {{ source('build', 'work') }} using (data_set, period)
{%- endmacro %}

{#- Figures as rows, from wide tables whose names begin as `tables` says, each of one basis. -#}
{% macro figures_of(data_sets, tables) -%}
{%- set queries = [] -%}
{%- for data_set in data_sets -%}
{%- set meta = data_set_meta(data_set) -%}
{%- for table, basis in tables.items() -%}
{%- set wide = ref(table ~ data_set) -%}
{%- set stands_alone = table == 'obs_' -%}
{%- set columns = called(meta, 'name' if stands_alone else 'column') -%}
{%- for indicator in meta.indicators if not (stands_alone and is_counted(meta)) -%}
{%- set query %}
select
    org_unit_code,
    '{{ data_set }}.{{ indicator.name }}' as indicator_id,
    '{{ data_set }}' as data_set,
    '{{ indicator.name }}' as indicator,
    period,
    '{{ basis }}' as basis,
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
    {%- endif %},
    {{ "'draft'" if meta.signed_off and basis == 'as_reported' else 'null' }}::varchar as sign_off
from {{ wide }}
{%- if stands_alone %}
where stands_alone
{%- endif %}
{%- endset -%}
{%- do queries.append(query) -%}
{%- endfor -%}
{%- endfor -%}
{%- endfor -%}
{{ queries | join('\nunion all\n') if queries else 'select null as data_set, null as period' }}
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

{#- The long view of figures over the wide tables: one row per org unit, indicator, period and basis. -#}
{% macro figures_long(data_sets) -%}
{{ config(materialized='view') }}
{%- set queries = [] -%}
{%- for data_set in data_sets -%}
{%- set wide = ref('fct_' ~ data_set) -%}
{%- for indicator in data_set_meta(data_set).indicators -%}
{%- set query %}
select
    org_unit_code,
    '{{ data_set }}.{{ indicator.name }}' as indicator_id,
    '{{ data_set }}' as data_set,
    '{{ indicator.name }}' as indicator,
    period,
    basis,
    {{ indicator.name ~ '_own' if indicator.kind != 'registry' else 'null' }}::decimal(28, 6) as own_value,
    {{ indicator.name ~ '_children' if indicator.additive else 'null' }}::decimal(28, 6) as children_value,
    {{ indicator.column }}::decimal(28, 6) as total_value,
    {{ indicator.numerator or 'null' }}::decimal(28, 6) as numerator,
    {{ indicator.denominator or 'null' }}::decimal(28, 6) as denominator,
    {{ indicator.name }}_claimed::decimal(28, 6) as reported_total,
    {% if indicator.kind == 'registry' -%}
    0 as due,
    0 as received,
    'complete' as status
    {%- else -%}
    due_{{ indicator.group }} as due,
    received_{{ indicator.group }} as received,
    {{ standing('due_' ~ indicator.group, 'received_' ~ indicator.group) }} as status
    {%- endif %}
from {{ wide }}
{%- endset -%}
{%- do queries.append(query) -%}
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

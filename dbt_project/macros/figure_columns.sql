{#- What is counted up the tree beside the values, with its type: submissions due and received, and registered units. -#}
{% macro counts_of(meta) -%}
{%- set counts = {'due': 'bigint', 'received': 'bigint'} -%}
{%- for group in meta.groups -%}
    {%- do counts.update({'due_' ~ group: 'bigint', 'received_' ~ group: 'bigint'}) -%}
{%- endfor -%}
{%- for indicator in meta.indicators if indicator.kind == 'registry' -%}
    {%- do counts.update({indicator.name ~ '_with_pseudo': 'bigint', indicator.name ~ '_without_pseudo': 'bigint'}) -%}
{%- endfor -%}
{{ return(counts) }}
{%- endmacro %}

{#- How every indicator is called: by `name` among observations, by `column` among figures. -#}
{% macro called(meta, by) -%}
{%- set columns = {} -%}
{%- for indicator in meta.indicators -%}{%- do columns.update({indicator.name: indicator[by]}) -%}{%- endfor -%}
{{ return(columns) }}
{%- endmacro %}

{#- A rate, recomputed from its parts, which `columns` says the names of. -#}
{% macro rate(indicator, columns) -%}
    round({{ indicator.scale }} * {{ columns[indicator.numerator] }}::double / nullif({{ columns[indicator.denominator] }}, 0)::double, 6)
{%- endmacro %}

{#- What the registry counts, pseudo-units with or without as the indicator says. -#}
{% macro registered(indicator) -%}
    {{ indicator.name }}_{{ 'with' if indicator.counts_pseudo else 'without' }}_pseudo::{{ indicator.type }}
{%- endmacro %}

{#- `a + b` where a missing side counts as nothing and both missing stay missing; most rows lack one side, and a
    sum of decimals is computed twice as wide as they are. -#}
{% macro plus(a, b, type) -%}
    case when {{ b }} is null then {{ a }} when {{ a }} is null then {{ b }} else ({{ a }} + {{ b }})::{{ type }} end
{%- endmacro %}

{#- Standing of a figure by what was due and what arrived. -#}
{% macro standing(due, received) -%}
    case
        when coalesce({{ due }}, 0) = 0 then 'not_applicable'
        when {{ received }} = 0 then 'missing'
        when {{ received }} < {{ due }} then 'partial'
        else 'complete'
    end
{%- endmacro %}

{#- Whether the registry counts any of a data set's indicators: then every unit has figures, and none stands alone. -#}
{% macro is_counted(meta) -%}
    {{ return(meta.indicators | selectattr('kind', 'equalto', 'registry') | list | length > 0) }}
{%- endmacro %}

{#- For how many parts of its period a flow was owed, where not for all: `parts_owed` says so of what is reported. A
    claim alone stands for the whole period. -#}
{% macro owed_in_part(received, parts_owed) -%}
    case when {{ received }} > 0 then {{ parts_owed }} end
{%- endmacro %}

{#- Why a change in per cent cannot be told; null where it can. -#}
{% macro why_no_change(value, base, parts, base_parts) -%}
    case
        when {{ value }} is null then 'no figure'
        when {{ base }} is null then 'nothing to compare with'
        when ({{ parts }} is distinct from {{ base_parts }}) then 'not collected for as long'
        when {{ base }} = 0 then 'compared with zero'
    end
{%- endmacro %}

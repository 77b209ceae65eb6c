{#- The figures of one data set restated on another date's tree, where they differ from what was reported on the tree
    of the time: one row per org unit and period, for the periods between whose last day and that date the tree changed.

    What each unit itself contributed goes to its successors (`domain.crosswalk`): a merger adds, a split is divided
    by its shares, rounded to the unit's decimals, and the last share takes the remainder; then all is rolled up the
    other tree. So the totals of every unit above both are the same to the last digit. A rate without parts and a
    distinct count are carried only where one unit passes to one other. The registry's counts are that tree's.
    A unit that this tree does not have has a row without figures; claims were made for units of the time. -#}
{% macro restate(data_set) -%}
{%- set meta = data_set_meta(data_set) -%}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ forget_work('" ~ data_set ~ "') }}"
) }}
{%- set counts = counts_of(meta) -%}
{%- set registered_counts = [] -%}
{%- for indicator in meta.indicators if indicator.kind == 'registry' -%}
    {%- do registered_counts.append(indicator.name ~ '_with_pseudo') -%}
    {%- do registered_counts.append(indicator.name ~ '_without_pseudo') -%}
{%- endfor -%}
{%- set additive = meta.indicators | selectattr('additive') | list -%}
{#- Neither added nor computed from what is added. -#}
{%- set stated = meta.indicators | rejectattr('additive') | rejectattr('kind', 'equalto', 'registry')
    | rejectattr('numerator') | list -%}
{%- set divided = {} -%}
{%- for indicator in additive -%}{%- do divided.update({indicator.name: indicator.type}) -%}{%- endfor -%}
{%- for column in counts if column not in registered_counts -%}
    {%- do divided.update({column ~ '_itself': 'decimal(18, 0)'}) -%}
{%- endfor -%}
{%- set added = {} -%}
{%- do added.update(divided) -%}
{%- for column in registered_counts -%}{%- do added.update({column ~ '_itself': 'bigint'}) -%}{%- endfor -%}
{%- set tree, ancestor, crosswalk = ref('int_restated_tree'), 'int_restated_ancestor', source('domain', 'crosswalk') %}

with as_reported as (
    select * from (
        {{ as_reported(data_set) }}
    )
    where period in {{ work_periods(data_set) }} and period in (select period from {{ source('domain', 'restated') }})
),

expected as (
    {{ due_by_unit(data_set) }}
),

-- What each unit itself contributed: its own account, or the claim that stood in for it.
account as (
    select
        figure.org_unit_code,
        figure.period,
        1::decimal(18, 12) as share,
        false as is_last
        {%- for indicator in additive %},
        case
            when figure.{{ indicator.name }}_children is null then figure.{{ indicator.column }}
            when figure.{{ indicator.name }}_own is not null or figure.{{ indicator.column }} <> figure.{{ indicator.name }}_children
                then (figure.{{ indicator.column }} - figure.{{ indicator.name }}_children)::{{ indicator.type }}
        end as {{ indicator.name }}
        {%- endfor %}
        {%- for indicator in stated %},
        figure.{{ indicator.name }}_own as {{ indicator.name }}
        {%- endfor %}
        {%- for column in counts if column not in registered_counts %},
        coalesce(expected.{{ column }}, 0)::decimal(18, 0) as {{ column }}_itself
        {%- endfor %}
    from as_reported as figure
    left join expected using (org_unit_code, period)
),

moved as (
    select account.* replace (
        crosswalk.to_code as org_unit_code,
        crosswalk.share as share,
        crosswalk.is_last as is_last
        {%- for column, type in divided.items() %},
        case
            when crosswalk.share = 1 then account.{{ column }}
            when crosswalk.is_last then account.{{ column }} - (
                sum((account.{{ column }} * crosswalk.share)::{{ type }}) over division
                - (account.{{ column }} * crosswalk.share)::{{ type }}
            )
            else (account.{{ column }} * crosswalk.share)::{{ type }}
        end::{{ type }} as {{ column }}
        {%- endfor %}
    )
    from account
    inner join {{ crosswalk }} as crosswalk
        on account.period = crosswalk.period and account.org_unit_code = crosswalk.from_code
    window division as (partition by account.period, account.org_unit_code)
),

together as (
    select
        org_unit_code,
        period
        {%- for column, type in divided.items() %},
        sum({{ column }})::{{ type }} as {{ column }}
        {%- endfor %}
        {%- for indicator in stated %},
        case when count(*) = 1 and min(share) = 1 then any_value({{ indicator.name }}) end as {{ indicator.name }}
        {%- endfor %}
    from (
        select account.*
        from account
        left join {{ crosswalk }} as crosswalk
            on account.period = crosswalk.period and account.org_unit_code = crosswalk.from_code
        where crosswalk.period is null
        union all
        select * from moved where org_unit_code is not null
    )
    group by org_unit_code, period
),

unit as (
    select
        tree.org_unit_code,
        tree.period,
        tree.parent_code
        {%- for column in divided %},
        together.{{ column }}
        {%- endfor %}
        {%- for indicator in stated %},
        together.{{ indicator.name }}
        {%- endfor %}
        {%- for indicator in meta.indicators if indicator.kind == 'registry' %},
        (tree.level = '{{ indicator.counts_level }}')::bigint as {{ indicator.name }}_with_pseudo_itself,
        (tree.level = '{{ indicator.counts_level }}' and not tree.is_pseudo)::bigint as {{ indicator.name }}_without_pseudo_itself
        {%- endfor %}
    from {{ tree }} as tree
    left join together using (org_unit_code, period)
    where tree.period in (select period from as_reported)
),

{{ sum_below('unit', added, ancestor) }},

-- What took part in a change, and all that is above it on this tree.
changed as (
    select
        period,
        from_code as org_unit_code
    from {{ crosswalk }}
    union
    select
        period,
        to_code as org_unit_code
    from {{ crosswalk }}
    union
    select
        period,
        unnest([
            coalesce(after.org_unit_code, before.org_unit_code), after.parent_code, before.parent_code
        ]) as org_unit_code
    from {{ tree }} as after
    full join (select * from {{ ref('int_tree') }} where period in (select period from as_reported)) as before
        using (period, org_unit_code)
    where after.parent_code is distinct from before.parent_code
),

affected as (
    select
        period,
        org_unit_code
    from changed
    union
    select
        changed.period,
        above.ancestor_code as org_unit_code
    from changed
    inner join {{ tree }} as tree using (period, org_unit_code)
    inner join {{ ref(ancestor) }} as above on changed.period = above.period and tree.parent_code = above.org_unit_code
),

restated as (
    select
        affected.org_unit_code,
        affected.period
        {%- for column in counts %},
        (coalesce(unit.{{ column }}_itself, 0) + coalesce(below.{{ column }}_itself, 0))::bigint as {{ column }}
        {%- endfor %}
        {%- for indicator in additive %},
        {{ plus('unit.' ~ indicator.name, 'below.' ~ indicator.name, indicator.type) }} as {{ indicator.column }},
        below.{{ indicator.name }} as {{ indicator.name }}_children,
        unit.{{ indicator.name }} as {{ indicator.name }}_own
        {%- endfor %}
        {%- for indicator in stated %},
        unit.{{ indicator.name }} as {{ indicator.column }},
        unit.{{ indicator.name }} as {{ indicator.name }}_own
        {%- endfor %}
        {%- for indicator in meta.indicators if indicator.numerator %},
        null::{{ indicator.type }} as {{ indicator.name }}_own
        {%- endfor %}
        {%- for indicator in meta.indicators %},
        null::{{ indicator.type }} as {{ indicator.name }}_claimed
        {%- endfor %}
    from affected
    left join unit using (period, org_unit_code)
    left join unit_below as below
        on affected.period = below.period and affected.org_unit_code = below.org_unit_code
    where affected.period in (select period from as_reported)
)

select restated.*
from restated
left join as_reported as figure using (period, org_unit_code)
where
    {% for column in counts -%}
    {{ 'or ' if not loop.first }}restated.{{ column }} is distinct from coalesce(figure.{{ column }}, 0)
    {% endfor %}
    {%- for indicator in additive + stated %}
    or restated.{{ indicator.column }} is distinct from figure.{{ indicator.column }}
    {%- endfor %}
    {%- for indicator in additive %}
    or restated.{{ indicator.name }}_children is distinct from figure.{{ indicator.name }}_children
    {%- endfor %}
{%- endmacro %}

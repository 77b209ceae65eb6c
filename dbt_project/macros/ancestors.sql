{#- Every unit with children and the units above it, period by period: one row per pair, the unit itself included. -#}
{% macro ancestors(tree) -%}
with recursive parent as (
    select distinct
        child.period,
        child.parent_code as org_unit_code,
        above.parent_code
    from {{ ref(tree) }} as child
    inner join {{ ref(tree) }} as above
        on child.period = above.period and child.parent_code = above.org_unit_code
),

ancestor as (
    select
        period,
        org_unit_code as ancestor_code,
        org_unit_code
    from parent
    union all
    select
        ancestor.period,
        parent.parent_code as ancestor_code,
        ancestor.org_unit_code
    from ancestor
    inner join parent
        on ancestor.period = parent.period and ancestor.ancestor_code = parent.org_unit_code
    where parent.parent_code is not null
)

select
    period,
    ancestor_code,
    org_unit_code
from ancestor
{%- endmacro %}

-- The tree that figures are restated on, once for each period of the work list whose own tree was another.
with work_period as (
    select distinct period
    from {{ source('build', 'work') }}
),

unit as (
    select
        restated.period,
        org_unit.org_unit_code,
        org_unit.parent_code,
        org_unit.level,
        org_unit.is_pseudo
    from {{ source('domain', 'restated') }} as restated
    inner join work_period using (period)
    cross join {{ source('build', 'parameter') }} as parameter
    inner join {{ source('domain', 'org_unit') }} as org_unit
        on
            org_unit.in_scope
            and org_unit.valid_from <= parameter.restated_on
            and (org_unit.valid_to is null or org_unit.valid_to > parameter.restated_on)
)

select
    unit.period,
    unit.org_unit_code,
    parent.org_unit_code as parent_code,
    unit.level,
    unit.is_pseudo
from unit
left join unit as parent on unit.period = parent.period and unit.parent_code = parent.org_unit_code

with period as (
    select distinct
        period.period,
        period.starts_on,
        period.ends_on
    from {{ source('domain', 'period') }} as period
    inner join {{ source('build', 'work') }} using (period)
),

-- The tree of a period is that of its last day; a unit that ended within it hangs where it last hung, so
-- that what it reported until then stays in its ancestors' totals.
valid as (
    select
        period.period,
        unit.org_unit_code,
        unit.parent_code,
        unit.level,
        unit.unit_type,
        unit.is_pseudo,
        (unit.valid_to is null or unit.valid_to > period.ends_on) as is_current
    from period
    inner join {{ source('domain', 'org_unit') }} as unit
        on
            unit.in_scope
            and unit.valid_from <= period.ends_on
            and (unit.valid_to is null or unit.valid_to > period.starts_on)
    left join {{ source('domain', 'org_unit') }} as later
        on
            unit.org_unit_code = later.org_unit_code
            and unit.valid_from < later.valid_from
            and later.in_scope
            and later.valid_from <= period.ends_on
            and (later.valid_to is null or later.valid_to > period.starts_on)
    where later.org_unit_code is null
)

select
    unit.period,
    unit.org_unit_code,
    parent.org_unit_code as parent_code,
    unit.level,
    unit.unit_type,
    unit.is_pseudo,
    unit.is_current
from valid as unit
left join valid as parent on unit.period = parent.period and unit.parent_code = parent.org_unit_code

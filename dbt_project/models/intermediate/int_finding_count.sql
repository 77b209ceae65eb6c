{{ config(tags=['judged']) }}

with recursive open_finding as (
    select
        org_unit_code,
        indicator_id,
        period,
        count(*) as open_findings,
        bool_or(severity = 'hard') as is_held
    from {{ source('judged', 'finding') }}
    where status = 'open'
    group by org_unit_code, indicator_id, period
),

unit as (
    select
        org_unit_code,
        parent_code,
        valid_from,
        valid_to,
        lead(valid_from) over (partition by org_unit_code order by valid_from) as next_from
    from {{ source('domain', 'org_unit') }}
),

-- Every ancestor counts the held figures that its total contains; a unit hangs where int_tree has it.
above as (
    select
        indicator_id,
        period,
        org_unit_code as held_code,
        org_unit_code
    from open_finding
    where is_held
    union
    select
        above.indicator_id,
        above.period,
        above.held_code,
        unit.parent_code as org_unit_code
    from above
    inner join {{ source('domain', 'period') }} as period using (period)
    inner join unit
        on
            above.org_unit_code = unit.org_unit_code
            and unit.valid_from <= period.ends_on
            and (unit.valid_to is null or unit.valid_to > period.starts_on)
            and (unit.next_from is null or unit.next_from > period.ends_on)
    where unit.parent_code is not null
),

held_below as (
    select
        org_unit_code,
        indicator_id,
        period,
        count(*) as held_below
    from above
    where held_code <> org_unit_code
    group by all
)

select
    org_unit_code,
    indicator_id,
    period,
    coalesce(open_finding.open_findings, 0) as open_findings,
    coalesce(open_finding.is_held, false) as is_held,
    coalesce(held_below.held_below, 0) as held_below
from open_finding
full join held_below using (org_unit_code, indicator_id, period)

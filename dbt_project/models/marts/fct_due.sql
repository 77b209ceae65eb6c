{{ config(materialized='view') }}

select
    due.reporter,
    due.org_unit_code,
    due.data_set,
    due.period,
    due.due_on,
    due.received_at,
    case
        when due.received_at is null then 'overdue'
        when (due.received_at at time zone parameter.time_zone)::date > due.due_on then 'late'
        else 'on_time'
    end as standing
from (
    select distinct
        reporter,
        org_unit_code,
        data_set,
        period,
        due_on,
        received_at
    from {{ ref('int_due') }}
) as due
cross join {{ source('build', 'parameter') }} as parameter

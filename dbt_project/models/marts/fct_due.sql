{{ config(materialized='view') }}

with due as (
    select distinct
        reporter,
        reporter_kind,
        org_unit_code,
        data_set,
        period,
        due_on,
        received_at
    from {{ ref('int_due') }}
),

dated as (
    select
        due.*,
        (due.received_at at time zone parameter.time_zone)::date as received_on
    from due
    cross join {{ source('build', 'parameter') }} as parameter
)

select
    reporter,
    org_unit_code,
    data_set,
    period,
    reporter_kind,
    due_on,
    received_at,
    case
        when received_on is null then 'overdue'
        when received_on > due_on then 'late'
        else 'on_time'
    end as standing,
    case when received_on > due_on then received_on - due_on end as days_late
from dated

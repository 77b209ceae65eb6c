{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ forget_work(with_strays=true) }}"
) }}

-- What was sent for a data set or period that nobody asks for is not worth a list of its own: it is read every night.
with submission as (
    select submission.*
    from {{ ref('stg_submission') }} as submission
    left join {{ source('build', 'unit') }} as unit using (data_set, period)
    left join {{ source('build', 'work') }} as work using (data_set, period)
    where work.period is not null or unit.period is null
),

-- A returned submission is no version: what stood before it still stands. Where two sources give the same, what a
-- primary one gave counts, whichever came later.
version as (
    select
        submission_id,
        row_number() over chain as version,
        lead(action) over chain as next_action
    from submission
    where not returned
    window chain as (
        partition by data_set, reporter, org_unit_code, period, scope
        order by coalesce(is_primary, true), received_at, landed_at, file_name, row_number, submission_id
    )
)

select
    submission.submission_id,
    submission.delivery_id,
    submission.source,
    submission.data_set,
    submission.reporter,
    submission.reporter_kind,
    submission.org_unit_code,
    submission.period,
    submission.scope,
    submission.action,
    submission.file_name,
    submission.content_sha256,
    submission.sheet,
    submission.row_number,
    version.version,
    case
        when submission.returned then 'returned'
        when submission.action = 'withdrawal' and version.next_action is null then 'withdrawn'
        when version.next_action is null then 'accepted'
        when version.next_action = 'withdrawal' then 'withdrawn'
        else 'superseded'
    end as status,
    submission.received_at,
    submission.landed_at,
    submission.known_from,
    submission.batch
from submission
left join version using (submission_id)

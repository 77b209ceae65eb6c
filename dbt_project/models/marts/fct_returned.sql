{{ config(materialized='view', tags=['sign_off']) }}

select
    submission.submission_id,
    submission.data_set,
    submission.reporter,
    submission.reporter_kind,
    submission.org_unit_code,
    submission.period,
    returned.recorded_at as returned_at,
    returned.recorded_by as returned_by,
    returned.reason
from {{ ref('int_submission') }} as submission
inner join {{ source('domain', 'returned') }} as returned using (submission_id)
inner join {{ ref('int_sign_off_account') }} as account
    on
        submission.data_set = account.data_set
        and submission.period = account.period
        and submission.org_unit_code = account.org_unit_code
        and account.state = 'returned'
where submission.status = 'accepted'

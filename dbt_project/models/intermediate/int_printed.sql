select
    submission.data_set,
    submission.org_unit_code,
    printed.indicator,
    submission.period,
    submission.scope,
    submission.reporter,
    printed.printed,
    printed.low,
    printed.high,
    printed.submission_id
from {{ ref('stg_printed') }} as printed
inner join {{ ref('int_submission') }} as submission using (submission_id)
where submission.status = 'accepted'

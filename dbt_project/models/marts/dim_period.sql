select
    period,
    period_type,
    starts_on,
    ends_on,
    previous_period,
    same_period_last_year
from {{ source('domain', 'period') }}

{{ config(tags=['judged']) }}

select
    record_id,
    kind,
    finding_id,
    data_set,
    period,
    rule_version,
    left_value,
    right_value,
    amount,
    reason,
    until,
    recorded_by,
    recorded_at,
    standing
from {{ source('judged', 'explanation') }}

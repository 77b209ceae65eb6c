{{ config(tags=['judged']) }}

select
    finding_id,
    rule_id,
    rule_version,
    severity,
    data_set,
    org_unit_code,
    indicator_id,
    period,
    basis,
    account,
    left_value,
    right_value,
    difference,
    message,
    message_en,
    status,
    explained,
    explanation,
    reopened
from {{ source('judged', 'finding') }}

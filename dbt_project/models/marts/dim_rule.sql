{{ config(tags=['judged']) }}

select
    rule_id,
    rule_version,
    family,
    severity,
    data_set,
    tolerance,
    description
from {{ source('judged', 'rule') }}

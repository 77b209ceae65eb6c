{{ config(tags=['judged']) }}

select
    rule_id,
    data_set,
    period,
    due,
    compared,
    offending,
    error
from {{ source('judged', 'rule_result') }}

{{ config(tags=['judged']) }}

select
    rule_id,
    indicator_id,
    reads_indicator_id,
    reads_when
from {{ source('judged', 'rule_figure') }}

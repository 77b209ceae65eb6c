select
    indicator_id,
    data_set,
    name,
    name_en,
    unit,
    unit_en,
    kind,
    numerator_id,
    denominator_id,
    part_of,
    definition
from {{ source('domain', 'indicator') }}

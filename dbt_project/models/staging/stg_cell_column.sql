with landed as (
    {{ landed('cell_columns', {
        'delivery_id': 'varchar', 'sheet': 'varchar', 'data_set': 'varchar', 'indicator': 'varchar',
        '"column"': 'varchar', 'submission_id': 'varchar', 'row_number': 'integer'
    }) }}
),

known as (
    select landed.*
    from landed
    inner join {{ ref('stg_delivery') }} using (delivery_id)
)

select distinct
    delivery_id,
    sheet,
    data_set,
    indicator,
    "column" as cell_column,
    submission_id,
    row_number
from known

with landed as (
    {{ landed('cell_columns', {
        'delivery_id': 'varchar', 'sheet': 'varchar', 'data_set': 'varchar', 'indicator': 'varchar',
        '"column"': 'varchar', 'submission_id': 'varchar', 'row_number': 'integer'
    }) }}
)

select distinct
    delivery_id,
    sheet,
    data_set,
    indicator,
    "column" as cell_column,
    submission_id,
    row_number
from landed
where delivery_id in (select delivery_id from {{ ref('stg_delivery') }})

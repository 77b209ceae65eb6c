with landed as (
    {{ landed('cell_columns', {
        'delivery_id': 'varchar', 'sheet': 'varchar', 'data_set': 'varchar', 'indicator': 'varchar',
        '"column"': 'varchar', 'submission_id': 'varchar', 'row_number': 'integer', 'batch': 'varchar'
    }) }}
)

select
    landed.delivery_id,
    landed.sheet,
    landed.data_set,
    landed.indicator,
    landed."column" as cell_column,
    landed.submission_id,
    landed.row_number
from landed
inner join {{ ref('stg_delivery') }} using (delivery_id, batch)

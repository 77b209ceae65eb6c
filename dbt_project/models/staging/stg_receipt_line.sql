with landed as (
    {{ landed('receipt_lines', {
        'submission_id': 'varchar', 'delivery_id': 'varchar', 'file_name': 'varchar', 'sheet': 'varchar',
        'cell': 'varchar', 'severity': 'varchar', 'code': 'varchar', 'message': 'varchar', 'message_en': 'varchar',
        'would_be': 'varchar'
    }) }}
)

select * from landed

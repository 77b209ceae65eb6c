with landed as (
    {{ landed('printed', {
        'submission_id': 'varchar', 'indicator': 'varchar', 'printed': 'varchar', 'low': 'double', 'high': 'double'
    }) }}
)

select distinct * from landed

"""The only place that knows Airflow: its settings, what DAG files share, and the two ways to run it."""

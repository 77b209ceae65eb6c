"""Great Expectations over Plumbline's wide tables: the rule families and the DuckDB engine."""

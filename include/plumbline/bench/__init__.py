"""A whole country's month through the product, measured beside a bare DuckDB roll-up and pandas."""

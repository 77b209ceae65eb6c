"""Plumbline: a reporting warehouse whose figures reconcile across levels."""

__version__ = "0.1.0"

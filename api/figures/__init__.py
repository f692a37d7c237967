"""Figures out of ledger and archive: usage, finance, reports."""

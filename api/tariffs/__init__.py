"""Tariffs and policies: published, checked, quoted, previewed."""

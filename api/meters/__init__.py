"""Meters: their lives and terms, readings, quarantine, and commands."""

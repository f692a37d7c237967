"""Alarms: listed, acknowledged, and heard as they happen."""

"""Gateways that dial in: what they push, before anybody has judged it."""

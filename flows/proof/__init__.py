"""Proof: a store held against its own log and its own arithmetic. Finds; repairs nothing."""

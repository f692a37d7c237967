"""Readings: the compiled loop, from registers to usage, to pieces with one price, to the wallet and its levels."""

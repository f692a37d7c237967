"""Supply: what each meter's supply should be and why, and the commands that bring it about."""

"""One order for many, now or at a time."""

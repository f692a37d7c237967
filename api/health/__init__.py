"""Whether it works, and what is counted."""

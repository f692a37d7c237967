"""People, tokens and sessions."""

"""Orders and settings: every fact that somebody asks for by an id, and its answer."""

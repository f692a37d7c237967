"""Redis (or Valkey): the log, the commit, the state as others read it, and the server that we start ourselves."""

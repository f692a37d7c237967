"""The doors: an HTTP API that reads derived state, appends facts and waits for what the machine decides."""

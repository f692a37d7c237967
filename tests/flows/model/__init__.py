"""A second machine, slow and plain, to hold the real one against: one fact after the other, written from the documents."""

"""Orders: appended, waited for, held back for a second person, or told to every shard."""

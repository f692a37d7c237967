"""`meterline tariff …` and what its sub-commands share."""

"""Files that people bring: sites and readings."""

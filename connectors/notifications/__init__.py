"""From alarms to people: who is told (the contacts file), in which words (templates), and the way there (apprise)."""

"""What every request passes, and what routes are given: who asks, what they may reach, how often, and how answers and problems are written."""

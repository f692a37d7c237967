"""What happens when: the machine and its parts are pure; the bytewax wiring around it reads as a table of contents."""

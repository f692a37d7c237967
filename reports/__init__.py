"""Figures for people: usage, finance and reports, summed up from what the machine has decided. They decide nothing, and round nothing."""

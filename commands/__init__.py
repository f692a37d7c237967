"""The commands of `meterline`, one file each: they choose the real things and tell people what happens."""

"""The words of Meterline: ids, units, facts, effects, state rows and refusals. A leaf: it imports nothing of ours."""

"""Benches: each measures one path with real parts and ends with one line of JSON. Figures are kept in docs/performance.md."""

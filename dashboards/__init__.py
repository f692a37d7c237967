"""Grafana dashboards as code: tables of panels, and what makes Grafana's JSON of them. Nothing of the product is imported."""

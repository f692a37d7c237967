"""The OpenAPI file and what changes in it."""

"""Accounts: their lives, their money, and what is charged and free."""

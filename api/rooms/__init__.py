"""Rooms and sites as operators watch them."""

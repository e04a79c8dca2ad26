"""Policies: one attachment engine for all kinds, and what each kind comes to."""

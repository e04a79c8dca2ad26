"""From shards to resources as an incremental computation: one edited route renders that route, and joins what it stands in.

All functions here are pure; what they read is recorded by the Db, so only what a change reaches runs again.
"""

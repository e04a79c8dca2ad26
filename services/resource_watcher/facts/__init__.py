"""Answers from outside of the cluster, asked for by the translator."""

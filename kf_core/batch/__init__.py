"""Whole folders: every photo of one folder enlarged into another one, in several processes, resumable.

docs/batch.md has what a user sees; run.py is where it begins.
"""

"""ASAP."""

"""Compares methods at equal tokens, before anyone trains: `asap compare`."""

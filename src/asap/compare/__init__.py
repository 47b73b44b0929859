"""Methods judged beside each other at the same tokens, before anyone trains: `asap compare`."""

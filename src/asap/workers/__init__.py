"""The processes that decide about rows for a run, which stores what they decide: one here, a pool of them, or Ray's actors."""

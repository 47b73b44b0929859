"""Stage 2 (paper §3.3): first-token surprisal, the removal order, and exact token counts after each removal."""

"""Stage 2 (paper §3.3): first-token surprisal, the order of removal, and exact token counts on the way."""

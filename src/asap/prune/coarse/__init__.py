"""Stage 1, anchor-guided pruning (paper §3.2): finds the steps that the direct derivation of the answer does not need."""

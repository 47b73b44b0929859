"""Stage 1, anchor-guided pruning (paper §3.2): which steps does the direct derivation of the answer not need?"""

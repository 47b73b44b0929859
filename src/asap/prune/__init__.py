"""The method: a Sample becomes a shorter Sample (paper §3).

| paper | where |
|---|---|
| §3.1, the two stages | `asap.py`: `prune_steps` |
| §3.2, anchor-guided pruning | `coarse/`: `anchor`, `rewrite` and Algorithm 1 in `match`; ours: `select`, `align` |
| §3.3, first-token surprisal, Eq. 2 | `fine/surprisal.py` |
| §3.3, Algorithm 2 | `fine/removal.py`; exact token counts in `fine/joined_tokens.py`, or `fine/retokenized.py` |
| rivals and controls | `methods/` |

`settings.py` holds a run's settings, `decision/` the decision about each trace; `together.py` scores many samples in one batch.
"""

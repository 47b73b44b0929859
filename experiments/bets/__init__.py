"""Four scores that had to earn their place, as methods of one's own; docs/results tells which one did.

From the repository's root: `asap prune ROWS --method experiments.bets.two_end:score --out DIR`, or the same name in `asap compare`.

| method | a step's score | reads the answer |
|---|---|---|
| `two_end:score` | what it adds behind all earlier steps | yes |
| `coverage:score` | its turn in a greedy choice that pays each answer token's best step once | yes |
| `bridge:score` | the smallest budget at which it lies on the path that is easiest to continue | no |
| `random_halves:score` | its share in the support of random halves of the trace | yes |

`coverage` passed the test in experiments/held_out, which ran at commit 963e159, and is now built in as `--method coverage`. With it moved
what chooses the answer tokens that count: `sketch.py` only names it. `prefill.py` probes one kept reading with masks of its own, which
`bridge` needs: a model of transformers in this process. README.md has what was found out before the test in experiments/held_out.
"""

"""`asap reproduce`: the paper's tables, and experiments of one's own, as chains of commands that go on after any kill.

A table (`tables/*.yaml`) says only which arms there are, and with which models, rows and settings. `chain.py` makes stages of it, each of
them one `asap` command; `plan.py` prints them with their cost; `run.py` runs what is missing.
"""

"""The bet that has become built in, `--method coverage`, under the name by which its test called it. The test ran at commit 963e159."""

from asap.prune.methods.coverage import answer_coverage as score

__all__ = ["score"]

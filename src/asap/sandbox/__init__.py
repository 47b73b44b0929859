"""Code that a model wrote is run here, and only here: in bubblewrap, where it can neither do harm nor judge itself."""

from asap.sandbox.pool import Sandbox, self_test
from asap.sandbox.verdict import Limits, Verdict

__all__ = ["Limits", "Sandbox", "Verdict", "self_test"]

"""The only place that runs code written by a model: inside bubblewrap, where it can neither do harm nor judge itself."""

from asap.sandbox.packages import imported_modules
from asap.sandbox.pool import Sandbox, self_test
from asap.sandbox.verdict import Limits, Verdict

__all__ = ["Limits", "Sandbox", "Verdict", "imported_modules", "self_test"]

"""The log-probabilities that a row ships with its trace, as the model gave them that wrote it.

What this does not do: read them from columns (`asap.dataset.logprobs`), or score with them (`asap.lm.scorer_shipped`).
"""

import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import NamedTuple

LEAST_LOGPROB = -1e6
"""Less is no log-probability of a model, but a mark for none; sums of a trace's numbers stay finite."""


class TokenLogprobs(NamedTuple):
    """The tokens of a trace in order: where each ends, in bytes of the trace's UTF-8 (`<u4`), and its natural-log probability (`<f8`).

    A token that begins before the trace, or ends behind it, counts with the part that lies in it.
    """

    ends: bytes
    values: bytes

    @classmethod
    def of(cls, ends: Sequence[int], values: Sequence[float]) -> "TokenLogprobs":
        """The record of two lists of one length."""
        return cls(struct.pack(f"<{len(ends)}I", *ends), struct.pack(f"<{len(values)}d", *values))

    def stored(self) -> dict[str, str]:
        """The same as JSON holds it."""
        return {"ends": b64encode(self.ends).decode(), "values": b64encode(self.values).decode()}

    @classmethod
    def of_stored(cls, stored: Mapping[str, str]) -> "TokenLogprobs":
        """What `stored` gave this of."""
        return cls(b64decode(stored["ends"]), b64decode(stored["values"]))

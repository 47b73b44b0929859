"""math-verify in a process of its own, run as a script by `Comparer`; it imports nothing of this package.

math-verify parses with ANTLR and sympy, which may take forever or all memory on a text of a few characters, some of it in C, where no
alarm is heard. So this process has limits on memory and on the CPU seconds of each question, of which it dies. Each line on stdin is a
question as JSON, each line on stdout its verdict; the first, null, says that it is ready. It ends when stdin ends.
"""

import json
import logging
import os
import resource
import signal
import sys
from contextlib import suppress
from typing import Any

MEMORY = 2 << 30
ANSWER_CPU_S = 20


def verdict(gold: str, answer: str) -> dict[str, str]:
    """The verdict on an answer: pass, fail, no-answer, or infra with the limit that it hit."""
    from math_verify import parse, verify
    from math_verify.errors import TimeoutException

    try:
        gold = gold.replace("\\$", "")
        wanted = parse(gold if "$" in gold or "\\boxed" in gold else f"${gold}$", raise_on_error=True)
        found = parse(answer.replace("\\$", ""), raise_on_error=True)  # `\\$5` would open a formula
        if not found:
            return {"verdict": "no-answer"}
        return {"verdict": "pass" if verify(wanted, found, raise_on_error=True) else "fail"}
    except TimeoutException:
        return {"verdict": "infra", "detail": "math-verify did not compare the answer in time"}
    except MemoryError:
        return {"verdict": "infra", "detail": f"math-verify needs more than {MEMORY >> 30} GB for the answer"}
    except RecursionError:
        return {"verdict": "infra", "detail": "the answer is nested too deeply for math-verify"}
    except Exception:  # border: sympy raises whatever it likes about texts that are no mathematics
        return {"verdict": "fail"}


def _limit_cpu() -> None:
    """Let this process die if the next question takes too much CPU time, also where no signal handler is reached."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used.ru_utime + used.ru_stime) + ANSWER_CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (soft if most == resource.RLIM_INFINITY else min(soft, most), most))


def main() -> None:
    """Answers questions until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; whoever started this stops it in its own time
    logging.disable()
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what sympy prints is no verdict

    def reply(value: Any) -> None:
        print(json.dumps(value), file=replies, flush=True)

    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import math_verify  # noqa: F401 (loaded before the first question)

    reply(None)
    for line in sys.stdin:
        with suppress(ValueError, OSError):
            _limit_cpu()
        reply(verdict(*json.loads(line)))


if __name__ == "__main__":
    main()

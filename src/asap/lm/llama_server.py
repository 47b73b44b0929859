"""A llama.cpp server in a process of its own, run as a script by `LlamaCpp`; it imports nothing of this package.

In its own process because llama.cpp ends the whole process on some damaged models, holds Python still while it loads, and
cannot always be stopped while it answers. The first line on stdin is the configuration as JSON; the first line on stdout is
{"address": ...} once it listens. It ends when stdin ends, so also when whoever started it was killed.
"""

import json
import os
import signal
import sys
from typing import Any


def start_server(config: dict[str, Any]) -> Any:
    """A server on a free port of 127.0.0.1, for those who have the key; stops when it is forgotten. Raises RuntimeError."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = config["file"]
    params.model_alias = {config["model"]}
    params.api_keys = [config["key"]]
    params.n_parallel = config["slots"]
    params.n_ctx = config["slots"] * config["context_tokens"]  # shared out evenly
    params.kv_unified = False  # a common pool could run out in the middle of a reply
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = config["threads"]
    params.sampling.min_p = config["min_p"]
    params.sampling.top_k = 0
    params.cache_ram_mib = 0  # else up to 8 GiB of former prompts
    params.ui = False
    params.endpoint_slots = False
    params.warmup = False
    params.verbosity = 1  # errors only
    return xllamacpp.Server(params)


def main() -> None:
    """Serves until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; whoever started this stops it in its own time
    config = json.loads(sys.stdin.readline())
    try:
        server = start_server(config)
    except RuntimeError as error:
        sys.exit(str(error))
    try:
        print(json.dumps({"address": server.listening_address}), flush=True)
        sys.stdin.read()
    finally:  # also if whoever started this was killed meanwhile, so that nobody reads the address
        os._exit(0)  # an orderly stop would wait for replies that nobody wants any more, and can wait for ever


if __name__ == "__main__":
    main()

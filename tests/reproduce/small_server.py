"""A real server of a real small model, as vLLM is one to `asap evaluate`: /v1/models and /v1/completions, streamed.

Its options, also those in the variable SMALL_SERVER, make it late, silent, stubborn, or fail. It writes a line
for each completion, as servers do.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--model")
PARSER.add_argument("--served-model-name", default="m")
PARSER.add_argument("--port", type=int, required=True)
PARSER.add_argument("--ready-after", type=float, default=0.0)
PARSER.add_argument("--ends-after", type=float, help="Seconds after which it ends with exit code 3.")
PARSER.add_argument("--ends-at", type=int, help="The completion at which it ends with exit code 9.")
PARSER.add_argument("--talks", action="store_true", help="It writes a line each tenth of a second while it is not ready.")
PARSER.add_argument("--stubborn", action="store_true", help="It ignores SIGTERM, and so does a process that it starts.")
ARGS = PARSER.parse_args([*sys.argv[1:], *os.environ.get("SMALL_SERVER", "").split()])
BEGAN = time.monotonic()
LOCK = threading.Lock()
COUNT = 0


@cache
def model() -> Any:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    return AutoModelForCausalLM.from_pretrained(ARGS.model), AutoTokenizer.from_pretrained(ARGS.model)


def completed(body: dict[str, Any]) -> tuple[str, dict[str, int]]:
    """The likeliest text, and the usage."""
    import torch

    lm, tokenizer = model()
    ids = torch.tensor([body["prompt"]])
    with torch.inference_mode():
        written = lm.generate(ids, max_new_tokens=body["max_tokens"], do_sample=False)[0, ids.shape[1] :]
    counts = {"prompt_tokens": ids.shape[1], "completion_tokens": len(written)}
    return tokenizer.decode(written, skip_special_tokens=True), {**counts, "total_tokens": sum(counts.values())}


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        ready = time.monotonic() - BEGAN >= ARGS.ready_after
        value = {"data": [{"id": ARGS.served_model_name, "max_model_len": 2048}]} if ready else {"error": "loading"}
        data = json.dumps(value).encode()
        self.send_response(200 if ready and self.path.endswith("/models") else 503 if not ready else 404)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        global COUNT
        with LOCK:
            COUNT += 1
            if ARGS.ends_at == COUNT:
                print("RuntimeError: out of memory", flush=True)
                os._exit(9)
            text, usage = completed(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            print(f"completion {COUNT}", flush=True)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for choices, more in (([{"index": 0, "text": text, "finish_reason": "length"}], {}), ([], {"usage": usage})):
            chunk = {"id": "c", "object": "text_completion", "created": 0, "model": "m", "choices": choices, **more}
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")


def main() -> None:
    print("loading weights", flush=True)
    if ARGS.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        helper = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        print("helper", subprocess.Popen([sys.executable, "-c", helper]).pid, flush=True)
    if ARGS.ends_after is not None:
        time.sleep(ARGS.ends_after)
        print("ValueError: no KV cache\n  for this model", flush=True)
        os._exit(3)
    server = ThreadingHTTPServer(("127.0.0.1", ARGS.port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        if ARGS.talks and time.monotonic() - BEGAN < ARGS.ready_after:
            print("still loading", flush=True)
        time.sleep(0.1)


if __name__ == "__main__":
    main()

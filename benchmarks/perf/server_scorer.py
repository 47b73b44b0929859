"""What a scorer behind a server costs on this side of the wire: CPU a read token, bytes a token, and the numbers against this process.

    python benchmarks/perf/server_scorer.py traces.jsonl --model NAME --base-url http://127.0.0.1:8000/v1 --tokenizer FOLDER [--here]

Seconds of CPU of this process only, so a busy machine does not matter much. With --here the same model scores in this process too, on the
CPU in float32, and the largest difference is printed.
"""

import argparse
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

import asap
from asap.lm import scorer_server
from asap.lm.endpoint import Endpoint
from asap.lm.scorer import ScoreRequest
from asap.lm.send import Answer
from asap.lm.specs import load_tokens
from asap.spans import Span


class Weighed(Endpoint):
    """An endpoint that counts the bytes of its answers."""

    received = 0

    async def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """The answer, counted."""
        answer = await super().post(path, body)
        Weighed.received += len(answer.content)
        return answer


def main() -> None:
    """Print three lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--model", required=True)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--limit", type=int, default=8)
    parser.add_argument("--here", action="store_true")
    options = parser.parse_args()
    samples = list(asap.read_samples(options.source))[: options.limit]
    requests = [ScoreRequest(sample.question, sample.cot, [Span(0, len(sample.cot))]) for sample in samples]
    scorer_server.Endpoint = Weighed  # type: ignore[misc]
    scorer = scorer_server.ServerScorer(options.model, load_tokens(options.tokenizer), base_url=options.base_url)
    scorer.score(requests[:1])
    Weighed.received = 0
    cpu, wall = time.process_time(), time.perf_counter()
    found = scorer.score(requests)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    tokens = sum(scorer.tokens.count(request.context + request.text) for request in requests)
    print(f"{len(requests)} texts, {tokens:,} tokens, {scorer.identity['revision']}")
    print(f"CPU here {1e6 * cpu / tokens:.1f} µs a token, {Weighed.received / tokens:.0f} bytes a token, waited {wall:.1f} s")
    if options.here:
        from asap.lm.scorer_transformers import HFScorer

        here = HFScorer(options.tokenizer, device="cpu", dtype="float32", context_tokens=scorer.context_tokens)
        cpu = time.process_time()
        expected = here.score(requests)
        print(f"CPU of the same in this process {1e6 * (time.process_time() - cpu) / tokens:.1f} µs a token")
        far = [np.nanmax(np.abs(one.spans[0].logprobs - other.spans[0].logprobs)) for one, other in zip(found, expected, strict=True)]
        print(f"largest difference {max(far):.1e} nats")
    scorer.close()


if __name__ == "__main__":
    main()

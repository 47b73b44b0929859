"""Scores that look back from the answer, tried and left out of `asap prune --method`: attribution and attention.

Run `python experiments/answer_directed.py ROWS --out DIR`: each row is cut to half of its tokens by each score, and a judge says how
likely the answer's code is then (`asap.prune.support`). Verdicts are kept in DIR; the same command goes on where it was.

- attribution: gradient times input of the answer's log-probability (one forward, one backward pass), summed over a step's tokens
- gradient: the norm of the gradient times that of the input, mean over a step's tokens
- attention: the answer's attention to a step's tokens, summed over them, mean over layers, heads and the answer's tokens
- alignment, surprisal, both (the sum of their ranks), and the controls random, keep-head, keep-tail
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from half import kept_steps
from remedies import ranks_added
from transformers.cache_utils import DynamicCache

from asap import read_samples
from asap.compare.support import SupportScorer
from asap.lm.prompt_style import default_context, render_context
from asap.lm.scorer import ScoreRequest
from asap.lm.specs import load_scorer
from asap.prune.anchored import anchored_prompt
from asap.prune.coarse.align import alignments
from asap.prune.fine.surprisal import first_token_surprisals
from asap.prune.trace import visible
from asap.sample import Sample
from asap.spans import Span
from asap.stats import interval
from asap.steps import join_steps, split_steps


def main() -> None:
    """Judge every row by every score, then print the means and the differences from random."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", help="a data set that asap prune reads")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scorer", default="bundled")
    parser.add_argument("--judge", default="hf:Qwen/Qwen2.5-Coder-0.5B-Instruct")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    scorer = load_scorer(options.scorer, dtype=options.dtype)
    judge_model = load_scorer(options.judge, dtype=options.dtype)
    found = list[Mapping[str, float]]()
    with SupportScorer.open(judge_model, options.out) as judge, (options.out / "judged.jsonl").open("w", encoding="utf-8") as file:
        for number, sample in enumerate(read_samples(options.rows)):
            if number == options.limit:
                break
            found.append(judged(scorer, judge, sample, number))
            file.write(json.dumps({"id": sample.id, **found[-1]}) + "\n")
            print(f"{number + 1} rows", flush=True)
    report(found)


def judged(scorer: Any, judge: SupportScorer, sample: Sample, seed: int) -> dict[str, float]:
    """The support that is left by each score, and that of no trace and of the full one."""
    spans = split_steps(sample.cot)
    support = {"no trace": judge.support(sample, ""), "full trace": judge.support(sample, sample.cot)}
    for name, values in scores(scorer, sample, spans, seed).items():
        kept = kept_steps(sample, spans, values, scorer.tokens)
        support[name] = judge.support(sample, join_steps(sample.cot, (spans[index] for index in kept)))
    return support


def scores(scorer: Any, sample: Sample, spans: Sequence[Span], seed: int) -> dict[str, list[float]]:
    """What each score says of each step; higher = keep."""
    contexts = [
        render_context(scorer.tokens, prompt, default_context(scorer.tokens)) for prompt in (sample.prompt, anchored_prompt(sample))
    ]
    plain, anchored = scorer.score([ScoreRequest(context, sample.cot, visible(sample.cot, spans)) for context in contexts])
    surprisal, alignment = first_token_surprisals(plain.spans), alignments(plain.spans, anchored.spans)
    attribution, gradient, attention = looking_back(scorer, contexts[0], sample, spans)
    places = np.arange(len(spans), dtype=float)
    return {
        "surprisal": surprisal,
        "alignment": alignment,
        "both": ranks_added(surprisal, alignment),
        "attribution": attribution,
        "gradient": gradient,
        "attention": attention,
        "random": np.random.default_rng(seed).random(len(spans)).tolist(),
        "keep-head": (-places).tolist(),
        "keep-tail": places.tolist(),
    }


def looking_back(scorer: Any, context: str, sample: Sample, spans: Sequence[Span]) -> tuple[list[float], list[float], list[float]]:
    """Attribution, gradient and attention of each step."""
    model, tail = scorer.model.requires_grad_(False), "\n</think>\n\n"
    encoded = scorer.tokens.encode(context + sample.cot + tail + sample.answer)
    ids = torch.from_numpy(encoded.ids)[None]
    first = int(np.searchsorted(encoded.ends, len(context) + len(sample.cot) + len(tail), side="right"))
    inputs = model.get_input_embeddings()(ids).detach().requires_grad_()
    hidden = model.base_model(inputs_embeds=inputs, use_cache=False).last_hidden_state[0, first - 1 : -1]
    logprobs = torch.log_softmax(model.get_output_embeddings()(hidden).float(), -1)
    logprobs.gather(1, ids[0, first:, None]).sum().backward()
    slope, value = inputs.grad[0].float(), inputs.detach()[0].float()
    by_token = (slope * value).sum(-1).numpy(), (slope.norm(dim=-1) * value.norm(dim=-1)).numpy(), attention_of(model, ids, first)
    starts, ends = encoded.starts - len(context), encoded.ends - len(context)
    edges = [(int(np.searchsorted(ends, a, side="right")), int(np.searchsorted(starts, b, side="left"))) for a, b in spans]
    attribution, gradient, attention = (
        [float(fold(values[a:b])) for a, b in edges] for values, fold in zip(by_token, (np.sum, np.mean, np.sum), strict=True)
    )
    return attribution, gradient, attention


def attention_of(model: Any, ids: torch.Tensor, first: int) -> Any:
    """The attention that the tokens from `first` on give to each token before, mean over them, layers and heads."""
    cache = DynamicCache(config=model.config)
    with torch.inference_mode():
        model.base_model(input_ids=ids[:, :first], past_key_values=cache, use_cache=True)
        model.set_attn_implementation("eager")  # the only one that gives its weights out
        out = model.base_model(input_ids=ids[:, first:], past_key_values=cache, use_cache=True, output_attentions=True)
        model.set_attn_implementation("sdpa")
        return torch.stack([layer[0].float().mean((0, 1)) for layer in out.attentions]).mean(0).numpy()


def report(found: Sequence[Mapping[str, float]]) -> None:
    """One row for each score, best first."""
    print("\n| score | rows | support | minus random |\n|---|---|---|---|")
    for name in sorted(found[0], key=lambda name: -np.mean([row[name] for row in found])):
        differences = [row[name] - row["random"] for row in found]
        low, high = interval(differences) if len(differences) > 1 else (float("nan"), float("nan"))
        mean = np.mean([row[name] for row in found])
        print(f"| {name} | {len(found)} | {mean:.3f} | {np.mean(differences):+.3f} [{low:+.3f}, {high:+.3f}] |")


if __name__ == "__main__":
    main()

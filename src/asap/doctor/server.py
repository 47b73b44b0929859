"""The finding about a server that is to score, and the scorer if it can."""

from asap.doctor.finding import Finding
from asap.errors import AsapError
from asap.lm.scorer import Scorer
from asap.lm.specs import load_scorer


def check_server(spec: str, base_url: str | None, tokenizer: str | None) -> tuple[Scorer | None, Finding]:
    """Asks the server for the log-probabilities of a test text, as a run does first."""
    try:
        scorer = load_scorer(spec, base_url=base_url, tokenizer=tokenizer)
    except AsapError as error:
        return None, Finding("scorer", "fail", str(error), "`asap prune` stops here: correct this first (docs/scale.md)")
    known = scorer.identity
    found = f"{known['model']} on {known['revision']}: gives the log-probabilities of texts of up to {scorer.context_tokens:,} tokens"
    return scorer, Finding("scorer", "ok", f"{found}; no entropies, so no step-entropy and first-token-entropy")

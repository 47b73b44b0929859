"""How much a stage will have a model do, by the mean sizes that the table's file gives; `asap prune --dry-run` counts real rows instead.

What it leaves out: the prompts of evaluations, the spread of lengths (a budget is compared with the mean trace), attention, whose share
grows with the length, and a LoRA's own weights.
"""

from asap.cost import ASSUMED, Asks, tokens_read
from asap.lm.spending import Amount, Price
from asap.prune.settings import AsapSettings
from asap.prune.trace import Size
from asap.reproduce.arms import ArmSettings, Variant
from asap.reproduce.fields import Options
from asap.reproduce.stage import READ_FLOPS, Work
from asap.reproduce.table import EvaluationSettings, Rows, Scale, recipe_of

_PROMPT = 250
"""Tokens of stage 1's own wording in a request, about."""
_CLASSIFIERS = {"llmlingua2": 560e6, "tokenskip": 560e6}
"""Parameters of the token classifiers, XLM-RoBERTa large, that read instead of the scorer."""


def kept_tokens(rows: Rows, arm: ArmSettings) -> float:
    """The tokens of a trace that an arm keeps in the mean."""
    if arm.kept is not None:
        return arm.kept
    options = arm.prune or arm.cut
    ratio, budget = options.get("ratio"), options.get("budget")
    if ratio is not None:
        return float(ratio) * rows.trace
    return min(rows.trace, float(budget)) if budget is not None else rows.trace


def arm_rows(rows: Rows, arm: ArmSettings, variant: Variant) -> float:
    """The rows that an arm trains on."""
    if arm.rows_like is None:
        return rows.number
    like = next(other for other in variant.arms if other.name == arm.rows_like)
    return round(rows.number * kept_tokens(rows, like) / kept_tokens(rows, arm))


def pruning_work(scale: Scale, arm: ArmSettings) -> Work:
    """What pruning an arm takes: tokens that the scorer reads, and dollars for the LLM of stage 1."""
    if not arm.prune:
        return Work()
    rows, options = scale.rows, arm.prune
    settings = pruning_settings(options)
    size = Size(max(1, round(rows.steps)), rows.trace, rows.answer)
    read = rows.number * tokens_read(settings, size, rows.trace).low
    dollars = 0.0
    if settings.stage_1 in ASSUMED and "price-in" in options and not arm.replies_of:
        price = Price(float(options["price-in"]), float(options["price-out"]))
        one = Asks(rows.question + rows.answer + _PROMPT, rows.question + rows.trace + _PROMPT, 1.1 * rows.trace)
        dollars = rows.number * one.added_to(Amount(), ASSUMED[settings.stage_1]).cost(price)
    return Work(_CLASSIFIERS.get(settings.name, scale.scorer.parameters), read=read, dollars=dollars)


def pruning_settings(options: Options) -> AsapSettings:
    """The settings of a pruning, as far as its cost depends on them. Raises UsageError."""
    return AsapSettings(
        budget=options.get("budget"),
        ratio=options.get("ratio"),
        method=options.get("method", "asap"),
        coarse=options.get("coarse", "select" if "llm" in options else "align"),
        coarse_only=bool(options.get("coarse-only")),
        scores=options.get("scores"),
    )


def training_work(scale: Scale, variant: Variant, arm: ArmSettings) -> Work:
    """What training an arm takes."""
    trained = epochs(scale) * epoch_tokens(scale.rows, arm, variant)
    return Work(scale.model.parameters, trained=trained, trained_flops=trained_flops(scale))


def trained_flops(scale: Scale) -> float:
    """Operations a parameter for each token trained: forwards, the gradients of what each layer reads, and those of its weights, which a
    LoRA's base has not; with checkpointing forwards once more.
    """
    recipe = recipe_of(scale.train)
    passes = 1 + 1 + (not recipe["use_peft"]) + bool(recipe.get("gradient_checkpointing", True))  # TRL's own default
    return READ_FLOPS * passes


def epochs(scale: Scale) -> float:
    """How often a training sees each row."""
    return float(recipe_of(scale.train).get("num_train_epochs", 3))


def epoch_tokens(rows: Rows, arm: ArmSettings, variant: Variant) -> float:
    """The tokens of an arm's rows: questions, what is kept of the traces, and answers."""
    return arm_rows(rows, arm, variant) * (rows.question + kept_tokens(rows, arm) + rows.answer)


def evaluation_work(scale: Scale, evaluation: EvaluationSettings) -> Work:
    """What evaluating an arm takes."""
    return Work(scale.model.parameters, written=evaluation.answers * evaluation.tokens)

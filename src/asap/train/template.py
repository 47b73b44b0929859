"""How a row becomes training text: the model's own prompt, then `<think>…</think>answer` and the end-of-sequence token.

It never uses a chat template's assistant turn: R1-Distill's deletes the thinking, others change its white space. At inference the
model reads the same text up to `<think>`, so training and serving agree.
"""

from functools import cached_property

from asap.digest import content_digest
from asap.errors import InputError
from asap.lm.prompt_style import default_context, render_context
from asap.lm.tokens import TokenCounter
from asap.sample import Sample
from asap.think_tags import CLOSED, OPENED, unopened

# Renders a text or a list of parts; sets the assistant's turn aside and renders the prompt as if that turn had yet to be written.
_JINJA_BEFORE = (
    "{%- macro asap_text(value) -%}{%- if value is string -%}{{- value -}}{%- else -%}{%- for part in value -%}{{- part['text'] -}}"
    "{%- endfor -%}{%- endif -%}{%- endmacro -%}"
    "{%- set asap = namespace(turn=none) -%}"
    "{%- if messages[-1]['role'] == 'assistant' -%}{%- set asap.turn = messages[-1] -%}"
    "{%- set messages = messages[:-1] -%}{%- set add_generation_prompt = true -%}{%- endif -%}"
)
_JINJA_AFTER = (
    "{%- if asap.turn is not none -%}{%- set trace = asap_text(asap.turn['reasoning_content'] or '') -%}"
    f"{{%- set asap.text = ({OPENED!r} + trace + {CLOSED!r} if trace else '') + asap_text(asap.turn['content']) -%}}"
    "{{- asap.text[LENGTH_OF_OPENED:] -}}{{- eos_token -}}{%- endif -%}"
)


class TrainingTemplate:
    """The training text of one tokenizer. `eos` ends the answer; the model learns to stop with it."""

    def __init__(self, tokens: TokenCounter) -> None:
        if tokens.hf.eos_token is None or tokens.hf.eos_token_id is None:
            raise InputError(f"the tokenizer of {tokens.name} names no eos_token, so the model could not learn where to stop")
        self.tokens = tokens
        self.style = default_context(tokens)
        self.eos: str = tokens.hf.eos_token
        self.eos_id: int = tokens.hf.eos_token_id

    def prompt(self, sample: Sample) -> str:
        """The text before `<think>`. Raises RowError if the chat template refuses the row."""
        return render_context(self.tokens, sample.prompt, self.style).removesuffix(OPENED)

    def text(self, prompt: str, sample: Sample) -> str:
        """The whole text of a row, with one end-of-sequence token, which may also be the tag after the answer."""
        return prompt + self.completion(sample)

    def completion(self, sample: Sample) -> str:
        """The text that is learnt."""
        return (sample.response.removesuffix(self.eos) if sample.frame.after else sample.response) + self.eos

    @cached_property
    def hash(self) -> str:
        """A digest of everything that determines a row's text, apart from the row itself."""
        return content_digest(self.style, self.tokens.hf.chat_template, OPENED, CLOSED, self.eos)[:16]

    def jinja(self) -> str:
        """A chat template for other tools: the model's own for the prompt, then our assistant turn.

        It takes the trace from `reasoning_content` or `content`. Raises InputError if the tokenizer has no template.
        """
        own: str | None = self.tokens.hf.chat_template
        if not own:
            raise InputError(f"{self.tokens.name} has no chat template to build a training template from")
        question = [{"role": "user", "content": "?"}]
        shown = str(self.tokens.hf.apply_chat_template(question, add_generation_prompt=True, tokenize=False))
        opened = len(shown) - len(unopened(shown))  # the template may already have written it
        return _JINJA_BEFORE + own.strip() + _JINJA_AFTER.replace("LENGTH_OF_OPENED", str(opened))

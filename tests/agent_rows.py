"""A small data set of agents and conversations, in the forms in which such rows are published, with texts of our own."""

import json
from typing import Any

PLAN = "The user wants the number of lines.\n\nI could open the file myself, but a tool counts faster.\n\nSo I call the tool."
CHECK = "The tool says 12.\n\nIs that with the blank lines? The tool counts them.\n\nSo the answer is 12."
LATER = "Now the words are wanted.\n\nThe tool was only asked for lines.\n\nI cannot know the words."
TOOLS = [{"type": "function", "function": {"name": "wc", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}}}]
CALL = [{"id": "c1", "type": "function", "function": {"name": "wc", "arguments": '{"path": "notes.txt"}'}}]
ASKED, AGAIN = "How many lines has notes.txt?", "And how many words?"
RESULT: dict[str, Any] = {"role": "tool", "tool_call_id": "c1", "name": "wc", "content": "12"}


def user(text: str = ASKED) -> dict[str, Any]:
    return {"role": "user", "content": text}


def thinks(cot: str, answer: str) -> str:
    return f"<think>\n{cot}\n</think>\n\n{answer}"


def talk(first: str, second: str) -> dict[str, Any]:
    """A conversation of two turns with this thinking, called talk."""
    asked = ("What is 2 + 2?", "Sure?")
    turns = [
        (user(text), {"role": "assistant", "content": thinks(cot, "So it is 4.")}) for text, cot in zip(asked, (first, second), strict=True)
    ]
    return {"id": "talk", "messages": [message for turn in turns for message in turn]}


SAID_12 = {"role": "assistant", "content": thinks(CHECK, "It has 12 lines.")}

ROWS: dict[str, dict[str, Any]] = {
    "tool calls, thinking beside": {
        "id": "beside",
        "messages": [
            {"role": "system", "content": "Use the tools."},
            user(),
            {"role": "assistant", "content": None, "reasoning_content": PLAN, "tool_calls": CALL},
            RESULT,
            {"role": "assistant", "content": "It has 12 lines.", "reasoning_content": CHECK},
            user(AGAIN),
            {"role": "assistant", "content": "I do not know.", "reasoning_content": LATER},
        ],
        "tools": TOOLS,
        "source": "ours",
    },
    "thinking in tags, tools as text": {
        "messages": [user(), {"role": "assistant", "content": thinks(PLAN, ""), "tool_calls": CALL}, RESULT, SAID_12],
        "tools": json.dumps(TOOLS),
    },
    "a terminal's agent": {
        "conversations": [
            user("You are in a shell. Count the lines of notes.txt."),
            {"role": "assistant", "content": thinks(PLAN, "wc -l notes.txt")},
            user("New output: 12 notes.txt"),
            {"role": "assistant", "content": thinks(CHECK, "done: 12")},
        ],
        "agent": "terminus",
        "trial": 3,
    },
    "sharegpt": {
        "conversations": [
            {"from": "human", "value": ASKED},
            {"from": "gpt", "value": thinks(PLAN, "Show me the file.")},
            {"from": "human", "value": "It says: …"},
            {"from": "gpt", "value": thinks(CHECK, "12")},
        ]
    },
    "content parts, flags": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": ASKED}], "trainable": False},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": PLAN},
                    {"type": "text", "text": "I ask."},
                    {"type": "tool_use", "id": "c1", "name": "wc", "input": {"path": "notes.txt"}},
                ],
                "trainable": True,
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "12"}], "trainable": False},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": CHECK}, {"type": "text", "text": "12"}], "trainable": True},
        ]
    },
    "interactions": {
        "interactions": [
            {"query": ASKED, "think": PLAN, "answer": "Which file is that?"},
            {"query": "The one here.", "think": CHECK, "answer": "12"},
        ],
        "text_to_filter": "…",
    },
    "prompt and completion": {
        "prompt": [user(), {"role": "assistant", "content": thinks(PLAN, "Where is it?")}, user("Here.")],
        "completion": [{"role": "assistant", "content": thinks(CHECK, "12")}],
    },
    "history": {"instruction": "Here.", "input": "", "output": thinks(CHECK, "12"), "history": [[ASKED, thinks(PLAN, "Where is it?")]]},
    "channels": {
        "messages": [
            user(),
            {"role": "assistant", "channel": "analysis", "content": PLAN},
            {"role": "assistant", "channel": "commentary", "recipient": "functions.wc", "content": '{"path": "notes.txt"}'},
            {"role": "functions.wc", "content": "12"},
            {"role": "assistant", "channel": "analysis", "content": CHECK},
            {"role": "assistant", "channel": "final", "content": "12"},
        ]
    },
    "items of an API": {
        "messages": [
            user(),
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": PLAN}]},
            {"type": "function_call", "name": "wc", "arguments": '{"path": "notes.txt"}', "call_id": "c1"},
            {"type": "function_call_output", "call_id": "c1", "output": "12"},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": CHECK}]},
            {"role": "assistant", "content": "12"},
        ]
    },
}
"""One row of each form; each has the thoughts PLAN and CHECK, and the first LATER too."""

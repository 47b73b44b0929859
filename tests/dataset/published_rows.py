"""Rows with the columns that published data sets have, as their cards list them, and with values of our own.

Each reads as the question Q, the trace C and the answer A.
"""

import json

Q, C, A, S = "What is 1+1?", "One and one.\n\nWait, is that two?\n\nYes, it is two.", "It is 2.", "Be brief."
R = f"<think>\n{C}\n</think>\n\n{A}"
USER, ANSWER = {"role": "user", "content": Q}, {"role": "assistant", "content": R}
OTHER = R.replace("two", "three")
INFO = {"source": "own", "reference_answer": "2", "test_case": None, "think_content": C, "answer_content": A}

PUBLISHED: dict[str, dict[str, object]] = {
    "open-r1/OpenR1-Math-220k": {
        "problem": Q,
        "solution": "Add them.",
        "answer": "2",
        "problem_type": "Algebra",
        "question_type": "math-word-problem",
        "source": "own",
        "uuid": "u1",
        "is_reasoning_complete": [True, True],
        "generations": [R, OTHER],
        "correctness_math_verify": [True, False],
        "correctness_llama": None,
        "finish_reasons": ["stop", "stop"],
        "correctness_count": 1,
        "messages": [USER, ANSWER],
    },
    "open-r1/Mixture-of-Thoughts": {"messages": [USER, ANSWER], "num_tokens": 20, "source": "own"},
    "open-r1/codeforces-cots": {
        "id": "1/A",
        "prompt": Q,
        "generation": R,
        "note": None,
        "editorial": None,
        "finish_reason": "stop",
        "messages": [USER, ANSWER],
    },
    "open-thoughts/OpenThoughts-114k": {
        "problem": Q,
        "deepseek_reasoning": C,
        "deepseek_solution": A,
        "ground_truth_solution": "2",
        "domain": "math",
        "source": "own",
        "test_cases": None,
        "starter_code": None,
    },
    "open-thoughts/OpenThoughts3-1.2M": {
        "difficulty": None,
        "source": "own",
        "domain": "math",
        "conversations": [{"from": "human", "value": Q}, {"from": "gpt", "value": R}],
    },
    "nvidia/OpenCodeReasoning": {
        "id": "i1",
        "input": Q,
        "output": R,
        "source": "own",
        "license": "own",
        "dataset": "own",
        "split": "train",
        "difficulty": "EASY",
        "solution": "print(2)",
    },
    "nvidia/OpenCodeReasoning-2": {
        "id": "i1",
        "question_id": "q1",
        "question": Q,
        "r1_generation": R,
        "qwq_critique": "<think>\nIs it right?\n</think>\n\nIt is.",
        "solution": "print(2)",
        "judgement": "right",
        "dataset": "own",
        "split": "train",
        "index": "1",
        "pass_rate": "1.0",
    },
    "nvidia/OpenMathReasoning": {
        "expected_answer": "2",
        "problem_type": "has_answer_extracted",
        "problem_source": "own",
        "generation_model": "DeepSeek-R1",
        "pass_rate_72b_tir": "1.0",
        "problem": Q,
        "generated_solution": R,
        "inference_mode": "cot",
    },
    "nvidia/Llama-Nemotron-Post-Training-Dataset": {
        "version": "v1",
        "category": "math",
        "license": "own",
        "reasoning": "on",
        "generator": "DeepSeek-R1",
        "used_in_training": "yes",
        "input": [USER],
        "output": R,
        "system_prompt": S,
    },
    "QuixiAI/dolphin-r1": {"messages": [{"role": "system", "content": S}, USER], "reasoning": C, "answer": A, "model": "own"},
    "simplescaling/s1K": {
        "solution": "2",
        "question": Q,
        "cot_type": "math",
        "source_type": "own",
        "metadata": "{}",
        "cot": None,
        "thinking_trajectories": [C],
        "attempt": A,
    },
    "simplescaling/s1K-1.1": {
        "solution": "2",
        "question": Q,
        "cot_type": "math",
        "source_type": "own",
        "metadata": "{}",
        "gemini_thinking_trajectory": "Another thought.",
        "gemini_attempt": "Two.",
        "deepseek_thinking_trajectory": C,
        "deepseek_attempt": A,
        "gemini_grade": "Yes",
        "deepseek_grade": "Yes",
    },
    "bespokelabs/Bespoke-Stratos-17k": {
        "system": S,
        "conversations": [
            {"from": "user", "value": Q},
            {
                "from": "assistant",
                "value": f"<|begin_of_thought|>\n\n{C}\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n{A}\n\n<|end_of_solution|>",
            },
        ],
    },
    "ServiceNow-AI/R1-Distill-SFT": {
        "id": "i1",
        "reannotated_assistant_content": R,
        "source": "own",
        "reannotated_messages": [USER, ANSWER],
        "messages": [USER, {"role": "assistant", "content": "Two."}],
        "source_dataset": "own",
        "verified": None,
        "quality_metrics": None,
    },
    "Congliu/Chinese-DeepSeek-R1-Distill-data-110k": {
        "input": Q,
        "reasoning_content": C,
        "content": A,
        "repo_name": "own",
        "score": 10,
    },
    "a-m-team/AM-DeepSeek-R1-Distilled-1.4M": {
        "messages": [
            {"role": "user", "content": Q, "info": {**INFO, "think_content": None, "answer_content": None}},
            {"role": "assistant", "content": f"<think>{C}</think>\n<answer>{A}</answer>", "info": INFO},
        ]
    },
    "GAIR/LIMO": {"question": Q, "solution": C, "answer": A},
    "HuggingFaceH4/Multilingual-Thinking": {
        "reasoning_language": "French",
        "developer": S,
        "user": Q,
        "analysis": C,
        "final": A,
        "messages": [
            {"role": "system", "content": S, "thinking": None},
            {**USER, "thinking": None},
            {"role": "assistant", "content": A, "thinking": C},
        ],
    },
    "KodCode/KodCode-V1-SFT-R1": {
        "style": "instruct",
        "subset": "own",
        "question_id": "k1",
        "question": Q,
        "solution": "def two(): ...",
        "test": "def test_two(): ...",
        "test_info": [{"function_name": "two"}],
        "r1_pass_sequence": [1],
        "r1_correctness": "True",
        "r1_solution": "def two(): return 2",
        "metadata": {"row_id": 1},
        "conversations": [{"from": "human", "value": Q}, {"from": "gpt", "value": R}],
    },
    "zwhe99/DeepMath-103K": {
        "question": Q,
        "final_answer": "2",
        "difficulty": 1.0,
        "topic": "own",
        "r1_solution_1": R,
        "r1_solution_2": OTHER,
        "r1_solution_3": OTHER.replace("three", "four"),
    },
    "FreedomIntelligence/medical-o1-reasoning-SFT": {"Question": Q, "Complex_CoT": C, "Response": A},
    "glaiveai/reasoning-v1-20m": {"prompt": Q, "response": R},
    "PrimeIntellect/SYNTHETIC-2": {
        "problem_id": "p1",
        "prompt": Q,
        "responses": [{"response": R, "score": 1.0}, {"response": OTHER, "score": 0.0}],
    },
}
"""By the name on the Hub."""

OTHERS: dict[str, dict[str, object]] = {
    "problem, reannotated_assistant_content": {
        "id": "i1",
        "reannotated_assistant_content": R,
        "problem": Q,
        "source": "own",
        "solution": "Two.",
        "verified": None,
    },
    "two chats with the same thinking": {
        "messages": [USER, ANSWER],
        "conversations": [{"from": "human", "value": Q}, {"from": "gpt", "value": R}],
    },
    "uuid, input, output": {"uuid": "u1", "input": Q, "output": R, "domain": "math", "meta": {"n": 1}},
    "problem, messages with reasoning_content, tools": {
        "problem": "Something else",
        "messages": [USER, {"role": "assistant", "content": A, "reasoning_content": C}],
        "tools": None,
    },
    "interactions": {"interactions": [{"query": Q, "think": C, "answer": A}], "text_to_filter": "x"},
    "id, problem, thinking, solution": {"id": "1", "problem": Q, "thinking": C, "solution": A, "difficulty": "easy", "category": "own"},
    "user_prompt, reasoning, output": {
        "system_prompt": S,
        "user_prompt": Q,
        "reasoning": C,
        "output": A,
        "schema": "{}",
        "ground_truth": "2",
    },
    "prompt list and reasoning": {"prompt": [USER], "reasoning": R},
    "input, reasoning, answer": {"input": Q, "reasoning": C, "answer": A, "domain": "own", "verified": True, "difficulty": 1, "meta": {}},
    "message, reasoning, answer": {"message": Q, "reasoning": C, "answer": A},
    "role/content and from/value": {
        "messages": [
            {"role": "user", "content": Q, "from": "user", "value": Q},
            {"role": "assistant", "content": R, "from": "gpt", "value": R},
        ]
    },
    "content parts, trainable": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": Q, "thinking": None}], "trainable": False, "tool_calls": None},
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": C, "text": None}, {"type": "text", "text": A, "thinking": None}],
                "trainable": True,
                "tool_calls": None,
            },
        ]
    },
    "reasoning_details in the message": {
        "messages": [USER, {"role": "assistant", "content": A, "reasoning_details": [{"type": "reasoning.text", "text": C, "format": "x"}]}]
    },
    "reasoning_details beside": {"prompt": Q, "response": A, "reasoning_details": [{"type": "reasoning.text", "text": C}]},
    "query, response": {"query": Q, "response": R},
    "problem, solution": {"problem": Q, "solution": R},
    "prompt, response": {"prompt": Q, "response": R},
    "instruction, response": {"instruction": Q, "response": R},
    "conversation": {"conversation": [USER, ANSWER]},
    "JSON text": {"messages": json.dumps([USER, ANSWER])},
    "JSON text of a prompt": {"prompt": json.dumps([USER]), "completion": json.dumps([ANSWER])},
    "chat with its trace beside": {"messages": [USER, {"role": "assistant", "content": A}], "reasoning_content": C},
    "list of one": {"problem": Q, "generations": [R], "solution": "2"},
    "a flag called reasoning": {"question": Q, "response": R, "reasoning": "on", "thinking": True},
    "a gold answer": {"question": Q, "reasoning": C, "response": A, "answer": "2", "solution": "Add."},
    "empty columns beside filled ones": {"question": "", "prompt": Q, "cot": "", "reasoning": C, "answer": None, "response": A},
    "an empty response beside an answer": {"question": Q, "reasoning": C, "response": "", "answer": A},
    "tags in the second candidate": {"question": Q, "solution": "Add.", "answer": R},
}

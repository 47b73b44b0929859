from pathlib import Path

import pytest
import yaml

from asap.errors import UsageError
from asap.train.launch import launch_names, wanted_launch
from asap.train.recipe import accumulation, load_recipe, recipe_names

APPENDIX_A = {
    "num_train_epochs": 10,
    "max_length": 16384,
    "per_device_train_batch_size": 1,
    "effective_batch_size": 16,
    "lr_scheduler_type": "cosine_with_min_lr",
    "lr_scheduler_kwargs": {"min_lr_rate": 0.1},
    "warmup_steps": 0.03,
    "max_grad_norm": 0.2,
    "seed": 42,
    "use_peft": False,
    "bf16": "auto",
    "packing": False,
}


@pytest.mark.parametrize(("name", "rate"), [("paper-qwen-7b", 4e-5), ("paper-llama-8b", 2e-5)])
def test_recipes_of_the_paper_are_its_appendix_a(name: str, rate: float) -> None:
    values = load_recipe(name)
    assert {key: values[key] for key in APPENDIX_A} == APPENDIX_A
    assert values["learning_rate"] == rate
    assert values["optim"].startswith("adamw_torch")
    assert (accumulation(values, 1), accumulation(values, 8)) == (16, 2)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # about names of transformers that TRL still uses
def test_every_recipe_is_accepted_by_the_trainer(tmp_path: Path) -> None:
    from asap.train.fit import _arguments
    from asap.train.setting import MODEL_SETTINGS, OWN_SETTINGS

    for name in recipe_names():
        values = load_recipe(name)
        options = {key: value for key, value in values.items() if key not in (*MODEL_SETTINGS, *OWN_SETTINGS)}
        arguments = _arguments({**options, "bf16": False}, tmp_path, accumulation(values, 1))
        assert arguments.gradient_accumulation_steps * arguments.per_device_train_batch_size == values["effective_batch_size"]
        assert arguments.max_length is None  # nothing is cut


def test_changes_are_read_in_their_type() -> None:
    values = load_recipe(
        "laptop", ["learning_rate=1e-5", "num_train_epochs=2", "use_peft=false", "report_to=tensorboard", "max_length=512"]
    )
    assert (values["learning_rate"], values["num_train_epochs"], values["use_peft"]) == (1e-5, 2.0, False)
    assert (values["report_to"], values["max_length"]) == ("tensorboard", 512)
    assert isinstance(values["max_length"], int)


def test_a_setting_is_not_given_twice() -> None:
    with pytest.raises(UsageError, match="--set gives seed twice, '1' and '2'; leave one of them out"):
        load_recipe("laptop", ["seed=1", "max_steps=3", " seed = 2"])


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("save_strategy=no", "no"),
        ("eval_strategy=no", "no"),
        ("run_name=no", "no"),
        ("run_name=007", "007"),
        ("run_name=2024-01-01", "2024-01-01"),
        ("run_name=null", None),
        ("report_to=off", "off"),
        ("report_to=[tensorboard, wandb]", ["tensorboard", "wandb"]),
        ("packing=no", False),
        ("packing=On", True),
        ("bf16=off", False),
        ("bf16=auto", "auto"),
        ("tf32=yes", True),
        ("tf32=null", None),
        ("max_length=0512", 512),
        ("max_length=1_024", 1024),
        ("learning_rate=1e-5", 1e-5),
        ("warmup_steps=0", 0.0),
        ("weight_decay=0", 0.0),
        ("max_steps=-1", -1),
        ("lora_target_modules=all-linear", "all-linear"),
        ("lora_target_modules=[q_proj, no]", ["q_proj", "no"]),
        ("lr_scheduler_kwargs={min_lr: 1e-6}", {"min_lr": 1e-6}),
        ("optim=sgd", "sgd"),
    ],
)
def test_a_word_is_what_its_setting_takes(change: str, value: object) -> None:
    found = load_recipe("laptop", [change])[change.partition("=")[0]]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("num_train_epochs=-1", "a number above 0 and of at most 100000"),
        ("num_train_epochs=0", "a number above 0"),
        ("num_train_epochs=1e9", "at most 100000"),
        ("warmup_steps=-0.1", "a number of 0 or more"),
        ("max_steps=0", "a whole number of 1 or more, or -1 for all"),
        ("max_steps=-2", "a whole number of 1 or more, or -1 for all"),
        ("max_steps=1.5", "a whole number"),
        ("learning_rate=-1e-5", "a number above 0"),
        ("learning_rate=0", "a number above 0"),
        ("learning_rate=true", "a number above 0"),
        ("weight_decay=-1", "a number of 0 or more"),
        ("max_grad_norm=-1", "a number of 0 or more"),
        ("adam_beta1=1", "a number of 0 or more and below 1"),
        ("adam_epsilon=0", "a number above 0"),
        ("lora_dropout=1.5", "a number of 0 or more and below 1"),
        ("lora_r=0", "a whole number of 1 or more"),
        ("lora_alpha=-1", "a whole number of 1 or more"),
        ("seed=-1", "a whole number from 0 to 4294967295"),
        ("seed=4294967296", "a whole number from 0 to 4294967295"),
        ("save_total_limit=0", "a whole number of 1 or more"),
        ("dataloader_num_workers=-1", "a whole number of 0 or more"),
        ("max_length=null", "a whole number of 1 or more"),
        ("save_strategy=false", "one of best, epoch, no, steps"),
        ("packing=null", "true or false"),
        ("packing=2", "true or false"),
        ("bf16=1", "one of true, false, auto"),
        ("lr_scheduler_kwargs=3", "text or a mapping or null"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(change: str, expected: str, tmp_path: Path) -> None:
    key, _, value = change.partition("=")
    with pytest.raises(UsageError, match=f"^{key} is .*; .*{expected}"):
        load_recipe("laptop", [change])
    (tmp_path / "mine.yaml").write_text(f"{key}: {value}\n")
    with pytest.raises(UsageError, match=f"^{key} is .*; .*{expected}"):
        load_recipe(str(tmp_path / "mine.yaml"))


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    values = {"learning_rate": 1e-4, "max_length": 100, "per_device_train_batch_size": 2, "effective_batch_size": 4}
    path.write_text(yaml.safe_dump(values))
    assert load_recipe(str(path)).items() >= values.items()
    path.write_text(yaml.safe_dump({"learning_rate": 1e-4}))
    with pytest.raises(UsageError, match="lacks max_length"):
        load_recipe(str(path))
    path.write_text("- a list")
    with pytest.raises(UsageError, match="holds no mapping"):
        load_recipe(str(path))


def test_launch_configs_are_valid_for_accelerate() -> None:
    from importlib.resources import files

    from accelerate.commands.config.config_args import load_config_from_file

    assert launch_names() == ["1x24gb", "1x80gb", "8x80gb"]
    for name in launch_names():
        config = load_config_from_file(str(files("asap.train").joinpath("accelerate", f"{name}.yaml")))
        assert config.mixed_precision == "bf16"
        assert config.num_processes == (8 if name.startswith("8x") else 1)


def test_a_config_for_several_machines_is_not_launched_from_one(tmp_path: Path) -> None:
    config = tmp_path / "two.yaml"
    config.write_text("num_machines: 2\nnum_processes: 16\n")
    with pytest.raises(UsageError, match=r"is for 2 machines.*on each machine run: accelerate launch"):
        wanted_launch(str(config))
    config.write_text("num_machines: 1\nnum_processes: 4\n")
    assert wanted_launch(str(config)) == str(config)
    config.write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        wanted_launch(str(config))


@pytest.mark.parametrize("word", ["no", "off", "yes", "on", "true", "null", "1e-5", "010"])
def test_every_setting_reads_a_word_by_its_type_or_refuses_it(word: str) -> None:
    truth = {"no": False, "off": False, "yes": True, "on": True, "true": True}
    from asap.train.setting import _settings

    read = set[type]()
    for key, kinds in _settings().items():
        try:
            value = load_recipe("laptop", [f"{key}={word}"])[key]
        except UsageError as error:
            if "cannot be set" not in str(error) and key not in ("bf16", "dtype"):
                assert word not in kinds, key
                assert word == "null" or "str" not in kinds or not kinds <= {"str", "null"}, key
            continue
        read.add(type(value))
        if isinstance(value, str):
            assert value == word, key
            assert "str" in kinds or word in kinds, key
        elif value is None:
            assert (word, "null" in kinds) == ("null", True), key
        elif isinstance(value, bool):
            assert value is truth[word], key
            assert "bool" in kinds, key
        else:
            assert value == float(word), key
            assert kinds & {"int", "float"}, key
    assert read >= {str} if word != "null" else read == {type(None)}
    assert read & {bool} == ({bool} if word in truth else set())

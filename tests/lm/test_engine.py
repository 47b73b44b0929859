"""What servers tell about themselves."""

from asap.lm.engine import read_engine


def test_vllm_tells_its_version_and_whether_it_keeps_prefixes() -> None:
    metrics = '# HELP x\nvllm:cache_config_info{block_size="16",enable_prefix_caching="False",gpu_memory_utilization="0.9"} 1.0\n'
    assert read_engine({"version": '{"version": "0.33.0"}', "metrics": metrics}) == {
        "name": "vllm",
        "version": "0.33.0",
        "enable_prefix_caching": "False",
        "gpu_memory_utilization": "0.9",
    }


def test_sglang_and_llama_cpp() -> None:
    told = '{"version": "0.5", "dtype": "bfloat16", "disable_radix_cache": true, "model_path": "m", "port": 1}'
    assert read_engine({"get_server_info": told}) == {
        "name": "sglang",
        "version": "0.5",
        "dtype": "bfloat16",
        "disable_radix_cache": True,
        "model_path": "m",
    }
    props = '{"build_info": "b1", "total_slots": 2, "model_path": "/home/me/m.gguf", "default_generation_settings": {"n_ctx": 4096}}'
    assert read_engine({"props": props}) == {
        "name": "llama.cpp",
        "build_info": "b1",
        "total_slots": 2,
        "model_path": "m.gguf",
        "n_ctx": 4096,
    }


def test_servers_that_tell_nothing_or_nonsense() -> None:
    assert read_engine({}) == {"name": "unknown"}
    assert read_engine({"version": "<html>", "metrics": "{", "get_server_info": "[" * 100_000, "props": "[1]"}) == {"name": "unknown"}

"""Who models are: the packaged table against published counts, look-up by name, a user's own rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

import bigbench_meta as bm
from bigbench_meta.errors import TableError
from bigbench_meta.facts.models import ModelTable, family_in_name, number_in_words, size_in_name

if TYPE_CHECKING:
    from pathlib import Path

# Published numbers of parameters: model cards and safetensors headers on the Hugging Face hub; Biderman et al. 2023, Table 1
# (Pythia, also without embeddings).
PUBLISHED = {
    "EleutherAI/pythia-70m": (70_426_624, 18_915_328),
    "EleutherAI/pythia-v1.1-160m": (162_322_944, 85_056_000),
    "EleutherAI/pythia-410m-deduped": (405_334_016, 302_311_424),
    "EleutherAI/pythia-v1.1-1b-bf16": (1_011_781_632, 805_736_448),
    "EleutherAI/pythia-1.4b": (1_414_647_808, 1_208_602_624),
    "EleutherAI/pythia-2.8b": (2_775_208_960, 2_517_652_480),
    "EleutherAI/pythia-6.9b": (6_857_302_016, 6_444_163_072),
    "EleutherAI/pythia-12b": (11_846_072_320, 11_327_027_200),
    "gpt2": (124_439_808, None),
    "openai-community/gpt2-xl": (1_557_611_200, None),
    "facebook/opt-125m": (125_239_296, None),
    "facebook/opt-350m": (331_196_416, None),
    "EleutherAI/gpt-j-6b": (6_050_882_784, None),
    "EleutherAI/gpt-neox-20b": (20_554_567_680, None),
    "bigscience/bloom-560m": (559_214_592, None),
    "bigscience/bloom": (176_247_271_424, None),
    "facebook/xglm-564M": (564_463_616, None),
    "huggyllama/llama-7b": (6_738_415_616, None),
    "meta-llama/Llama-2-70b-hf": (68_976_648_192, None),
    "meta-llama/Meta-Llama-3-8B": (8_030_261_248, None),
    "Qwen/Qwen2.5-0.5B": (494_032_768, None),
    "google/gemma-2b": (2_506_172_416, None),
    "tiiuae/falcon-40b": (41_303_293_952, None),
    "RWKV/rwkv-4-169m-pile": (169_342_464, None),
    "HuggingFaceTB/SmolLM-135M": (134_515_008, None),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name: str) -> None:
    """Counts from shapes are the published ones."""
    known = ModelTable(bm.models()).look_up(name)
    total, without = PUBLISHED[name]
    assert known is not None
    assert known.total_params == total
    assert without is None or known.non_embedding_params == without


def test_table_is_whole() -> None:
    """Every row has a source and fewer parameters without embeddings than with them; names within a family are unique."""
    table = bm.models()
    assert len(table) > 120
    assert (table["source"] != "").all()
    assert (table["non_embedding_params"] < table["total_params"]).all()
    assert not table.duplicated(["family", "model"]).any()
    patterns = [each for pattern in table["pattern"] for each in pattern.lower().split("|")]
    assert len(set(patterns)) == len(patterns)


def test_twins_and_versions_are_kept_apart() -> None:
    """The deduped twin and version 0 of Pythia are families of their own; a chat model is nobody known."""
    table = ModelTable(bm.models())
    families = {
        name: known.family if (known := table.look_up(name)) else None
        for name in (
            "EleutherAI/pythia-70m", "EleutherAI/pythia-v1.1-70m-deduped", "EleutherAI/pythia-70m-v0",
            "evals/pythia-v0/pythia-70m-deduped", "EleutherAI__pythia-70m", "EleutherAI/pythia-19m", "meta-llama/Llama-2-7b-chat-hf",
        )
    }  # fmt: skip
    assert list(families.values()) == [
        "Pythia", "Pythia-deduped", "Pythia-v0", "Pythia-deduped-v0", "Pythia", "Pythia-v0", None,
    ]  # fmt: skip


def test_pythia_tokens() -> None:
    """143,000 steps of 2,097,152 tokens are 299,892,736,000 (Biderman et al. 2023)."""
    known = ModelTable(bm.models()).look_up("pythia-70m")
    assert known is not None
    assert (known.tokens, known.tokens_per_step) == (299_892_736_000, 2_097_152)


@pytest.mark.parametrize(
    ("name", "size", "family"),
    [
        ("a/b-7b", 7e9, "b"),
        ("b-7B-chat", 7e9, "b-chat"),
        ("bloomz-1b7", 1.7e9, "bloomz"),
        ("x-350M-v2", 3.5e8, "x-v2"),
        ("Mixtral-8x7B", None, "Mixtral-8x7B"),
        ("Qwen2-57B-A14B", None, "Qwen2"),
        ("claude-3", None, "claude-3"),
        ("7b", 7e9, "7b"),
        ("x-0b", None, "x"),
    ],
)
def test_size_in_name(name: str, size: float | None, family: str) -> None:
    """One number with a unit is a size; none, or two, are not."""
    assert size_in_name(name) == size
    assert family_in_name(name) == family


def test_number_in_words() -> None:
    """Units are thousands, millions, billions and trillions."""
    assert [number_in_words(text) for text in ("30k", "70M", "1.5 b", "2T", "70", "m", "1e3b")] == [
        3e4, 7e7, 1.5e9, 2e12, None, None, None,
    ]  # fmt: skip


def test_own_rows_come_first(tmp_path: Path) -> None:
    """A user's row is looked at before the packaged ones; family and model have defaults."""
    path = tmp_path / "mine.csv"
    path.write_text("pattern,total_params\npythia-70m,7\nlab-*-3b|other,30\n")
    table = ModelTable(bm.models(path))
    known, wild = table.look_up("pythia-70m"), table.look_up("org/lab-new-3b")
    assert known is not None
    assert wild is not None
    assert (known.total_params, known.family, known.model) == (7, "pythia", "pythia-70m")
    assert math.isnan(known.non_embedding_params)
    assert wild.total_params == 30


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,size\na,1\n", "expected pattern, total_params"),
        ("pattern,total_params\na,-3\n", 'total_params "-3" of "a" is not a positive number'),
        ("pattern,total_params\n,3\n", "row 1 has no pattern"),
        ("pattern,total_params\na,seven\n", 'total_params "seven" of "a" is not a positive number'),
    ],
)
def test_refused_tables(tmp_path: Path, text: str, message: str) -> None:
    """What cannot be used is named with what was expected."""
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=message):
        bm.models(path)

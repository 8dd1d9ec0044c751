"""Write bigbench_meta/data/models.csv: parameters of open model families, counted from their published shapes.

Each family is a rule for counting (biases, normalisation, tied embeddings) and a row of numbers a model: layers, width, width
of the feed-forward part, key-value heads over heads, vocabulary. The counts agree with the published weights where those are
known by heart (GPT-2 124,439,808; Pythia 70,426,624; BLOOM 559,214,592; LLaMA 6,738,415,616 ...), which a test checks.
"""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

TARGET = Path(__file__).resolve().parents[2] / "bigbench_meta" / "data" / "models.csv"
COLUMNS = (
    "pattern", "family", "model", "total_params", "non_embedding_params", "tokens", "compute", "tokens_per_step", "source",
)  # fmt: skip
T, B = 10**12, 10**9


class Counts(NamedTuple):
    """Parameters of a model: those of its blocks, and those of its embeddings and output layer."""

    blocks: int
    embeddings: int


def gpt(layers: int, width: int, vocabulary: int, *, positions: int = 0, tied: bool = True, ffn: int = 0) -> Counts:
    """Count a decoder with biases everywhere and two layer norms a block, as GPT-2 has, and a last one."""
    ffn = ffn or 4 * width
    block = 4 * width**2 + 4 * width + 2 * width * ffn + ffn + width + 4 * width
    return Counts(layers * block + 2 * width, (vocabulary * (1 if tied else 2) + positions) * width)


def llama(
    layers: int, width: int, ffn: int, vocabulary: int, *, kv: Fraction = Fraction(1), tied: bool = False,
    qkv_bias: bool = False, norms: int = 2, attention: int = 0, head_norms: int = 0,
) -> Counts:  # fmt: skip
    """Count a decoder without biases, with a gated feed-forward part; ``kv`` is key-value heads over heads."""
    attention = attention or width  # heads times their width
    keys = int(attention * kv)
    block = 2 * width * attention + 2 * width * keys + 3 * width * ffn + norms * width + head_norms
    if qkv_bias:
        block += attention + 2 * keys
    return Counts(layers * block + (width if norms else 0), vocabulary * width * (1 if tied else 2))


Row = tuple[str, str, str, Counts, float, int, str]


def rows() -> list[Row]:
    """Return pattern, family, model, counts, tokens, tokens a step and source of every model."""
    return [
        *_pythia(), *_opt(), *_gpt2(), *_neo(), *_bloom(), *_xglm(), *_llamas(), *_olmo(), *_qwen(), *_gemma(),
        *_falcon(), *_cerebras(), *_mpt(), *_rwkv(), *_smollm(),
    ]  # fmt: skip


def _pythia() -> list[Row]:
    shapes = {"14m": (6, 128), "31m": (6, 256), "70m": (6, 512), "160m": (12, 768), "410m": (24, 1024), "1b": (16, 2048),
              "1.4b": (24, 2048), "2.8b": (32, 2560), "6.9b": (32, 4096), "12b": (36, 5120)}  # fmt: skip
    # Width of the vocabulary after padding.
    padded = {"2.8b": 50304, "6.9b": 50432, "12b": 50688}
    # Names of the first release, by size with embeddings left out.
    first = {
        "70m": "19m",
        "160m": "125m",
        "410m": "350m",
        "1b": "800m",
        "1.4b": "1.3b",
        "2.8b": "2.7b",
        "6.9b": "6.7b",
        "12b": "13b",
    }
    source = "Biderman et al. 2023 (arXiv 2304.01373), Table 1; 143,000 steps of 2,097,152 tokens"
    # Of version 0 these were trained with batches twice as large, for half as many steps.
    large = {"160m", "410m", "1.4b"}
    found = []
    for size, (layers, width) in shapes.items():
        count = gpt(layers, width, padded.get(size, 50304), tied=False)
        extra = "-bf16" if size == "1b" else ""
        for twin, family in (("", "Pythia"), ("-deduped", "Pythia-deduped")):
            names = [f"pythia-{size}{twin}", f"pythia-v1.1-{size}{twin}"]
            if extra and not twin:
                names += [f"pythia-{size}{extra}", f"pythia-v1.1-{size}{extra}"]
            found.append(
                ("|".join(names), family, f"pythia-{size}{twin}", count, 143_000 * 2_097_152, 2_097_152, source)
            )
            if size in first:
                names = [f"pythia-{size}{twin}-v0", f"pythia-v0/pythia-{size}{twin}", f"pythia-{first[size]}{twin}"]
                step = 2 * 2_097_152 if size in large else 2_097_152
                found.append(("|".join(names), family + "-v0", f"pythia-{size}{twin}-v0", count, 143_000 * 2_097_152, step,
                              source + "; version 0 (Pythia 160m, 410m and 1.4b in steps of 4,194,304 tokens)"))  # fmt: skip
    return found


def _opt() -> list[Row]:
    shapes = {"125m": (12, 768), "1.3b": (24, 2048), "2.7b": (32, 2560), "6.7b": (32, 4096), "13b": (40, 5120),
              "30b": (48, 7168), "66b": (64, 9216), "175b": (96, 12288)}  # fmt: skip
    source = "Zhang et al. 2022 (arXiv 2205.01068), Table 1; 180B tokens of corpus (ObsScaling, Apache-2.0)"
    counts = {size: gpt(*shape, 50272, positions=2050) for size, shape in shapes.items()}
    # 350m has narrower embeddings with projections, and no last layer norm.
    counts["350m"] = Counts(gpt(24, 1024, 0).blocks - 2 * 1024, 50272 * 512 + 2050 * 1024 + 2 * 512 * 1024)
    return [(f"opt-{size}", "OPT", f"opt-{size}", count, 180 * B, 0, source) for size, count in counts.items()]


def _gpt2() -> list[Row]:
    shapes = {"gpt2": (12, 768), "gpt2-medium": (24, 1024), "gpt2-large": (36, 1280), "gpt2-xl": (48, 1600)}
    return [
        (
            name,
            "GPT-2",
            name,
            gpt(*shape, 50257, positions=1024),
            0,
            0,
            "Radford et al. 2019, Table 2; tokens unpublished",
        )
        for name, shape in shapes.items()
    ]


def _neo() -> list[Row]:
    source = "Black et al. 2021 (GPT-Neo) and model cards; tokens as in ObsScaling (Apache-2.0)"
    found = []
    for size, (layers, width), tokens in (
        ("125m", (12, 768), 300),
        ("1.3B", (24, 2048), 380),
        ("2.7B", (32, 2560), 420),
    ):
        blocks = layers * (12 * width**2 + 10 * width) + 2 * width  # no bias of queries, keys and values
        found.append(
            (
                f"gpt-neo-{size}",
                "GPT-Neo/J",
                f"gpt-neo-{size}",
                Counts(blocks, (50257 + 2048) * width),
                tokens * B,
                0,
                source,
            )
        )
    j = Counts(28 * (12 * 4096**2 + 7 * 4096) + 2 * 4096, 2 * 50400 * 4096 + 50400)
    found.append(("gpt-j-6b", "GPT-Neo/J", "gpt-j-6b", j, 402 * B, 0, "Wang and Komatsuzaki 2021 (GPT-J)"))
    found.append(("gpt-neox-20b", "GPT-Neo/J", "gpt-neox-20b", gpt(44, 6144, 50432, tied=False), 472 * B, 0,
                  "Black et al. 2022 (arXiv 2204.06745)"))  # fmt: skip
    return found


def _bloom() -> list[Row]:
    shapes = {"560m": (24, 1024, 341), "1b1": (24, 1536, 341), "1b7": (24, 2048, 341), "3b": (30, 2560, 341),
              "7b1": (30, 4096, 341), "176b": (70, 14336, 366)}  # fmt: skip
    source = "BigScience Workshop 2022 (arXiv 2211.05100), Table 3"
    found = []
    for size, (layers, width, tokens) in shapes.items():
        counts = gpt(layers, width, 250880)
        counts = counts._replace(embeddings=counts.embeddings + 2 * width)  # a layer norm of the embeddings
        pattern = "bloom|bloom-176b" if size == "176b" else f"bloom-{size}"
        found.append((pattern, "BLOOM", f"bloom-{size}", counts, tokens * B, 0, source))
    return found


def _xglm() -> list[Row]:
    shapes = {"564M": (24, 1024, 4096), "1.7B": (24, 2048, 8192), "2.9B": (48, 2048, 8192), "4.5B": (48, 2048, 16384),
              "7.5B": (32, 4096, 16384)}  # fmt: skip
    return [
        (
            f"xglm-{size}",
            "XGLM",
            f"xglm-{size}",
            gpt(layers, width, 256008, ffn=ffn),
            500 * B,
            0,
            "Lin et al. 2022 (arXiv 2112.10668), Table 1",
        )
        for size, (layers, width, ffn) in shapes.items()
    ]


def _llamas() -> list[Row]:
    one = {
        "7b": (32, 4096, 11008, 1),
        "13b": (40, 5120, 13824, 1),
        "30b": (60, 6656, 17920, 1.4),
        "65b": (80, 8192, 22016, 1.4),
    }
    found: list[Row] = [
        (f"llama-{size}|llama-{size}-hf" + ("|llama-33b" if size == "30b" else ""), "Llama", f"llama-{size}",
         llama(layers, width, ffn, 32000), int(tokens * T), 0, "Touvron et al. 2023 (arXiv 2302.13971), Table 2")
        for size, (layers, width, ffn, tokens) in one.items()
    ]  # fmt: skip
    two = {
        "7b": (32, 4096, 11008, Fraction(1)),
        "13b": (40, 5120, 13824, Fraction(1)),
        "70b": (80, 8192, 28672, Fraction(1, 8)),
    }
    found += [
        (f"llama-2-{size}|llama-2-{size}-hf", "Llama-2", f"llama-2-{size}", llama(layers, width, ffn, 32000, kv=kv), 2 * T, 0,
         "Touvron et al. 2023 (arXiv 2307.09288), Table 1")
        for size, (layers, width, ffn, kv) in two.items()
    ]  # fmt: skip
    three = {
        "8b": (32, 4096, 14336, Fraction(1, 4)),
        "70b": (80, 8192, 28672, Fraction(1, 8)),
        "405b": (126, 16384, 53248, Fraction(1, 16)),
    }
    for size, (layers, width, ffn, kv) in three.items():
        count = llama(layers, width, ffn, 128256, kv=kv)
        source = "Grattafiori et al. 2024 (arXiv 2407.21783), Table 3; about 15T tokens"
        if size != "405b":
            found.append(
                (f"llama-3-{size}|meta-llama-3-{size}", "Llama-3", f"llama-3-{size}", count, 15 * T, 0, source)
            )
        found.append(
            (
                f"llama-3.1-{size}|meta-llama-3.1-{size}|meta-llama-3.1-{size}-fp8",
                "Llama-3.1",
                f"llama-3.1-{size}",
                count,
                15 * T,
                0,
                source,
            )
        )
    small = {"1b": (16, 2048, 8192, Fraction(1, 4)), "3b": (28, 3072, 8192, Fraction(1, 3))}
    return found + [
        (f"llama-3.2-{size}", "Llama-3.2", f"llama-3.2-{size}", llama(layers, width, ffn, 128256, kv=kv, tied=True), 9 * T, 0,
         "model card of Llama 3.2: up to 9T tokens, distilled from larger models")
        for size, (layers, width, ffn, kv) in small.items()
    ]  # fmt: skip


def _olmo() -> list[Row]:
    source = "Groeneveld et al. 2024 (arXiv 2402.00838), Table 1"
    found: list[Row] = [
        ("olmo-1b|olmo-1b-hf", "OLMo", "olmo-1b", llama(16, 2048, 8192, 50304, tied=True, norms=0), 3 * T, 0, source),
        ("olmo-7b|olmo-7b-hf", "OLMo", "olmo-7b", llama(32, 4096, 11008, 50304, norms=0), int(2.5 * T), 0, source),
    ]
    two = {"1b": (16, 2048, 8192, Fraction(1), 4), "7b": (32, 4096, 11008, Fraction(1), 4), "13b": (40, 5120, 13824, Fraction(1), 5),
           "32b": (64, 5120, 27648, Fraction(1, 5), 6)}  # fmt: skip
    names = {"1b": "olmo-2-0425-1b", "7b": "olmo-2-1124-7b", "13b": "olmo-2-1124-13b", "32b": "olmo-2-0325-32b"}
    for size, (layers, width, ffn, kv, tokens) in two.items():
        counts = llama(layers, width, ffn, 100352, kv=kv, head_norms=width + int(width * kv))
        found.append(
            (
                f"olmo-2-{size}|{names[size]}",
                "OLMo-2",
                f"olmo-2-{size}",
                counts,
                tokens * T,
                0,
                "OLMo et al. 2024 (arXiv 2501.00656)",
            )
        )
    return found


def _qwen() -> list[Row]:
    F = Fraction
    found: list[Row] = []
    card = "model configuration; tokens as in ObsScaling (Apache-2.0)"
    one = {  # layers, width, ffn, vocabulary, kv, tied, tokens
        "0.5b": (24, 1024, 2816, 151936, F(1), True, 2.4), "1.8b": (24, 2048, 5504, 151936, F(1), False, 2.4),
        "4b": (40, 2560, 6912, 151936, F(1), False, 2.4), "7b": (32, 4096, 11008, 151936, F(1), False, 4),
        "14b": (40, 5120, 13696, 152064, F(1), False, 4), "32b": (64, 5120, 27392, 152064, F(1, 5), False, 4),
        "72b": (80, 8192, 24576, 152064, F(1), False, 3), "110b": (80, 8192, 49152, 152064, F(1, 8), False, 0),
    }  # fmt: skip
    two = {
        "0.5b": (24, 896, 4864, 151936, F(1, 7), True, 12), "1.5b": (28, 1536, 8960, 151936, F(1, 6), True, 7),
        "7b": (28, 3584, 18944, 152064, F(1, 7), False, 7), "72b": (80, 8192, 29568, 152064, F(1, 8), False, 7),
    }  # fmt: skip
    half = two | {
        "3b": (36, 2048, 11008, 151936, F(1, 8), True, 18), "14b": (48, 5120, 13824, 152064, F(1, 5), False, 18),
        "32b": (64, 5120, 27648, 152064, F(1, 5), False, 18),
    }  # fmt: skip
    for version, table, source in (
        ("1.5", one, card), ("2", two, "Yang et al. 2024 (arXiv 2407.10671)"), ("2.5", half, "Qwen 2024 (arXiv 2412.15115): 18T tokens"),
    ):  # fmt: skip
        for size, (layers, width, ffn, vocabulary, kv, tied, tokens) in table.items():
            counts = llama(layers, width, ffn, vocabulary, kv=kv, tied=tied, qkv_bias=True)
            seen = 18 if version == "2.5" else tokens
            found.append(
                (f"qwen{version}-{size}", f"Qwen{version}", f"qwen{version}-{size}", counts, int(seen * T), 0, source)
            )
    three = {
        "0.6b": (28, 1024, 3072, 16, 8, True), "1.7b": (28, 2048, 6144, 16, 8, True), "4b": (36, 2560, 9728, 32, 8, True),
        "8b": (36, 4096, 12288, 32, 8, False), "14b": (40, 5120, 17408, 40, 8, False),
    }  # fmt: skip
    for size, (layers, width, ffn, heads, keys, tied) in three.items():
        counts = llama(layers, width, ffn, 151936, kv=F(keys, heads), tied=tied, attention=heads * 128, head_norms=256)
        found.append(
            (
                f"qwen3-{size}-base",
                "Qwen3",
                f"qwen3-{size}-base",
                counts,
                36 * T,
                0,
                "Yang et al. 2025 (arXiv 2505.09388)",
            )
        )
    return found


def _gemma() -> list[Row]:
    F = Fraction
    one = {"2b": (18, 2048, 16384, 8 * 256, F(1, 8), 3), "7b": (28, 3072, 24576, 16 * 256, F(1), 6)}
    two = {
        "2b": (26, 2304, 9216, 8 * 256, F(1, 2), 2),
        "9b": (42, 3584, 14336, 16 * 256, F(1, 2), 8),
        "27b": (46, 4608, 36864, 32 * 128, F(1, 2), 13),
    }
    found = []
    for prefix, family, table, norms, source in (
        ("gemma-", "Gemma", one, 2, "Gemma Team 2024 (arXiv 2403.08295), Table 1"),
        ("gemma-2-", "Gemma-2", two, 4, "Gemma Team 2024 (arXiv 2408.00118), Table 1"),
    ):
        for size, (layers, width, ffn, attention, kv, tokens) in table.items():
            counts = llama(layers, width, ffn, 256000, kv=kv, tied=True, norms=norms, attention=attention)
            found.append((prefix + size, family, prefix + size, counts, tokens * T, 0, source))
    return found


def _falcon() -> list[Row]:
    source = "Almazrouei et al. 2023 (arXiv 2311.16867), Table 16"
    small = Counts(32 * (10 * 4544**2 + 128 * 4544 + 2 * 4544) + 2 * 4544, 65024 * 4544)
    middle = Counts(60 * (10 * 8192**2 + 1024 * 8192 + 4 * 8192) + 2 * 8192, 65024 * 8192)
    large = Counts(80 * (10 * 14848**2 + 1024 * 14848 + 4 * 14848) + 2 * 14848, 2 * 65024 * 14848)
    return [
        ("falcon-7b", "Falcon", "falcon-7b", small, int(1.5 * T), 0, source),
        ("falcon-40b", "Falcon", "falcon-40b", middle, 1 * T, 0, source),
        ("falcon-180b", "Falcon", "falcon-180b", large, int(3.5 * T), 0, source),
    ]


def _cerebras() -> list[Row]:
    shapes = {"111M": (10, 768, 2.22), "256M": (14, 1088, 5.12), "590M": (18, 1536, 11.8), "1.3B": (24, 2048, 26.3),
              "2.7B": (32, 2560, 53.0), "6.7B": (32, 4096, 133), "13B": (40, 5120, 257)}  # fmt: skip
    return [
        (f"cerebras-gpt-{size}", "Cerebras-GPT", f"cerebras-gpt-{size}", gpt(layers, width, 50257, positions=2048), int(tokens * B), 0,
         "Dey et al. 2023 (arXiv 2304.03208), Table 1")
        for size, (layers, width, tokens) in shapes.items()
    ]  # fmt: skip


def _mpt() -> list[Row]:
    found = []
    for size, layers, width in (("7b", 32, 4096), ("30b", 48, 7168)):
        counts = Counts(layers * (12 * width**2 + 2 * width) + width, 50432 * width)
        found.append((f"mpt-{size}", "MPT", f"mpt-{size}", counts, 1 * T, 0, "MosaicML 2023, model cards"))
    return found


def _rwkv() -> list[Row]:
    shapes = {
        "169m": (12, 768),
        "430m": (24, 1024),
        "1b5": (24, 2048),
        "3b": (32, 2560),
        "7b": (32, 4096),
        "14b": (40, 5120),
    }
    found = []
    for size, (layers, width) in shapes.items():
        counts = Counts(layers * (13 * width**2 + 11 * width) + 4 * width, 2 * 50277 * width)
        found.append((f"rwkv-4-{size}-pile|rwkv-4-pile-{size}", "RWKV-4", f"rwkv-4-{size}-pile", counts, 332 * B, 0,
                      "Peng et al. 2023 (arXiv 2305.13048), Table 2; one epoch of the Pile, about 332B tokens"))  # fmt: skip
    return found


def _smollm() -> list[Row]:
    shapes = {"135m": (30, 576, 1536, Fraction(1, 3), 0.6, 2), "360m": (32, 960, 2560, Fraction(1, 3), 0.6, 4),
              "1.7b": (24, 2048, 8192, Fraction(1), 1, 11)}  # fmt: skip
    found: list[Row] = []
    for size, (layers, width, ffn, kv, one, two) in shapes.items():
        counts = llama(layers, width, ffn, 49152, kv=kv, tied=True)
        found.append(
            (
                f"smollm-{size}",
                "SmolLM",
                f"smollm-{size}",
                counts,
                int(one * T),
                0,
                "Hugging Face 2024, model cards of SmolLM",
            )
        )
        found.append(
            (
                f"smollm2-{size}",
                "SmolLM2",
                f"smollm2-{size}",
                counts,
                int(two * T),
                0,
                "Allal et al. 2025 (arXiv 2502.02737)",
            )
        )
    return found


def main() -> None:
    """Write the table, sorted by family and size."""
    table = sorted(rows(), key=lambda row: (row[1], row[3].blocks, row[2]))
    with TARGET.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for pattern, family, model, counts, tokens, step, source in table:
            total = counts.blocks + counts.embeddings
            writer.writerow((pattern, family, model, total, counts.blocks, int(tokens) or "", "", step or "", source))
    print(TARGET)


if __name__ == "__main__":
    main()

"""The ladder's model: a small decoder-only transformer over characters.

Pre-norm blocks, GELU, learned positions, an unembedding of its own. Only ``width`` differs between the sizes of the
grid; ``depth`` is a parameter for those who want another one. PyTorch is imported by this module and by
``train`` alone: everything else in the package works without it.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from bigbench_meta.experiments.ladder.task_items import CONTEXT, VOCABULARY

# Two heads at every size: a token that depends on two source letters can look at both at once.
HEADS = 2
# The usual ratio of the feed-forward layer (Vaswani et al. 2017).
EXPANSION = 4


class Block(nn.Module):
    """One pre-norm block: attention, then a feed-forward layer, each added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.norm_forward = nn.LayerNorm(width)
        self.expand = nn.Linear(width, EXPANSION * width)
        self.contract = nn.Linear(EXPANSION * width, width)

    def forward(self, stream: Tensor) -> Tensor:
        """Return the residual stream (batch, time, width) after this block."""
        batch, time, width = stream.shape
        joint = self.queries_keys_values(self.norm_attention(stream))
        queries, keys, values = joint.view(batch, time, 3, HEADS, width // HEADS).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        stream = stream + self.mix(attended.transpose(1, 2).reshape(batch, time, width))
        hidden = functional.gelu(self.expand(self.norm_forward(stream)))
        result: Tensor = stream + self.contract(hidden)
        return result


class Transformer(nn.Module):
    """A decoder-only transformer over the ladder's vocabulary.

    Parameters
    ----------
    width : int
        Size of the residual stream; even, since there are two heads.
    depth : int
        Number of blocks.
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(len(VOCABULARY), width)
        self.positions = nn.Embedding(CONTEXT, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.unembed = nn.Linear(width, len(VOCABULARY), bias=False)

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Return the logits of the next token, shape (batch, time, vocabulary).

        Parameters
        ----------
        tokens : Tensor
            Token numbers, shape (batch, time).
        positions : Tensor
            Position numbers, shape (time,): tasks may let two tokens share one.
        """
        stream = self.tokens(tokens) + self.positions(positions)
        for block in self.blocks:
            stream = block(stream)
        logits: Tensor = self.unembed(self.norm(stream))
        return logits

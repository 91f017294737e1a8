"""The network: one encoder for asks and preferences, and heads that look at the ask with each preference's eyes.

A preference is encoded once, when the config is loaded; for each request only the ask is. What compares the two:

- the cosine of their means (the plain bi-encoder);
- a glance: the preference's mean attends to the ask's tokens, so that what is asked weighs more for one preference and
  what it is about for another; some products of 384 numbers per preference;
- a council: what was found of each preference is weighed against what was found of the others (what ships);
- readers: the preference's tokens pass through further layers that also attend to the ask's states of that depth.

    logit(preference) = scale * cosine(ask seen by the preference, preference) + judge(both) + council [+ reader]
    logit(none)       = scale * tau + none(ask) + council
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel

DIFFICULTIES = ("quick", "standard", "deep")


@dataclass(frozen=True)
class Shape:
    layers: int
    readers: int
    hidden: int
    heads: int


class Layer(nn.Module):
    """A transformer layer whose tokens may also attend to the states of another text."""

    def __init__(self, bert_layer: nn.Module, heads: int) -> None:
        super().__init__()
        attention = bert_layer.attention
        if hasattr(attention, "self"):
            self.q, self.k, self.v = attention.self.query, attention.self.key, attention.self.value
            self.o, self.norm1 = attention.output.dense, attention.output.LayerNorm
        else:  # MPNet
            self.q, self.k, self.v, self.o = attention.attn.q, attention.attn.k, attention.attn.v, attention.attn.o
            self.norm1 = attention.LayerNorm
        self.up, self.down = bert_layer.intermediate.dense, bert_layer.output.dense
        self.norm2 = bert_layer.output.LayerNorm
        self.heads = heads

    def forward(self, x: Tensor, seen: Tensor, mask: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """x [n, t, h]; seen [n, s, h], what it may attend to; mask [n, s], true where there is a token (None: all).

        bias [1, heads, t, s]: what relative positions add to the attention.
        """
        q, k, v = self._by_head(self.q(x)), self._by_head(self.k(seen)), self._by_head(self.v(seen))
        allowed = None if mask is None else mask[:, None, None, :]
        if bias is not None:
            allowed = bias.float() if allowed is None else bias.float().masked_fill(~allowed, -1e4)
        with torch.autocast("cpu", enabled=False):  # in bfloat16 it learns half as fast (torch 2.13)
            a = functional.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=allowed)
        x = self.norm1(x + self.o(a.transpose(1, 2).reshape(x.shape[0], -1, x.shape[2])))
        return self.norm2(x + self.down(functional.gelu(self.up(x))))

    def _by_head(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], -1, self.heads, x.shape[2] // self.heads).transpose(1, 2)


class Glance(nn.Module):
    """Reads the ask once more for each preference: its attention over the ask's tokens is the preference's own.

    With its first weights it is the mean of the tokens, so that training starts from the plain bi-encoder.
    """

    def __init__(self, hidden: int, heads: int, width: int = 256) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(hidden, hidden) for _ in range(3))
        nn.init.zeros_(self.q.weight)
        nn.init.zeros_(self.q.bias)
        nn.init.eye_(self.v.weight)
        nn.init.zeros_(self.v.bias)
        self.mix = nn.Linear(4 * hidden, width)
        self.judge = nn.Linear(width, 1)
        nn.init.zeros_(self.judge.weight)
        nn.init.zeros_(self.judge.bias)

    def forward(self, ask: Tensor, mask: Tensor | None, preferences: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """ask [n, t, h], mask [n, t], preferences [p, h] (centred means) -> logits [n, p], findings [n, p, width]."""
        n, t, h = ask.shape
        p, d = preferences.shape[0], h // self.heads
        q = self.q(preferences).view(p, self.heads, d).transpose(0, 1)  # heads, p, d
        k = self.k(ask).view(n, t, self.heads, d).permute(0, 2, 3, 1)  # n, heads, d, t
        weights = (q @ k) / math.sqrt(d)  # n, heads, p, t
        if mask is not None:
            weights = weights.masked_fill(~mask[:, None, None, :], -1e4)
        weights = weights.softmax(-1)
        v = self.v(ask).view(n, t, self.heads, d).transpose(1, 2)
        seen = (weights @ v).permute(0, 2, 1, 3).reshape(n, p, h)
        a, b = unit(seen), unit(preferences).expand(n, p, h)
        near = (a * b).sum(-1)
        root = math.sqrt(h)
        findings = functional.gelu(self.mix(torch.cat([a * b * h, (a - b).abs() * root, a * root, b * root], -1)))
        return scale * near + self.judge(findings).squeeze(-1), findings


class Council(nn.Module):
    """What was found of each preference is weighed against what was found of the others on the list, and of none.

    "Hard work" means something else beside "easy work" than beside "documentation", and none fits better where nothing
    does. Order does not matter. With its first weights it changes nothing.
    """

    def __init__(self, hidden: int, width: int = 256, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.none = nn.Linear(hidden, width)
        self.before = nn.LayerNorm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.after = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, width), nn.Linear(width, width)
        self.judge = nn.Linear(width, 1)
        nn.init.zeros_(self.judge.weight)
        nn.init.zeros_(self.judge.bias)

    def forward(self, findings: Tensor, ask: Tensor) -> Tensor:
        """findings [n, p, width], ask [n, h] (centred means) -> what to add to the logits [n, p + 1], none last."""
        root = math.sqrt(ask.shape[-1])
        x = torch.cat([findings, functional.gelu(self.none(unit(ask) * root)).unsqueeze(1)], 1)
        n, p, w = x.shape
        y = self.before(x)
        q, k, v = (part(y).view(n, p, self.heads, -1).transpose(1, 2) for part in (self.q, self.k, self.v))
        weights = (q @ k.transpose(-1, -2) / math.sqrt(w // self.heads)).softmax(-1)
        x = x + self.o((weights @ v).transpose(1, 2).reshape(n, p, w))
        x = x + self.down(functional.gelu(self.up(self.after(x))))
        return self.judge(x).squeeze(-1)


@dataclass(frozen=True)
class Encoded:
    """Texts as the encoder leaves them. `states`: of each text [tokens, depths, hidden], the last depth after the last
    layer, those before it where the readers begin; `means` [n, hidden]: centred means of the last."""

    states: list[Tensor]
    means: Tensor

    def of(self, which: list[int]) -> "Encoded":
        return Encoded([self.states[i] for i in which], self.means[which])

    def padded(self) -> tuple[Tensor, Tensor]:
        """[n, tokens, depths, hidden], and which are tokens."""
        lengths = torch.tensor([len(s) for s in self.states])
        return nn.utils.rnn.pad_sequence(self.states, batch_first=True), torch.arange(max(lengths)) < lengths[:, None]


class Router(nn.Module):
    def __init__(
        self,
        base: Path,
        *,
        readers: int = 0,
        layers: int | None = None,
        glance: bool = False,
        council: bool = False,
        frozen: int = 0,
    ) -> None:
        super().__init__()
        bert = AutoModel.from_pretrained(base, add_pooling_layer=False)
        heads, hidden = bert.config.num_attention_heads, bert.config.hidden_size
        layers = layers or bert.config.num_hidden_layers
        self.shape = Shape(layers, readers, hidden, heads)
        self.embeddings = bert.embeddings
        self.relative = getattr(bert.encoder, "relative_attention_bias", None)
        self._positions: Any = getattr(bert.encoder, "compute_position_bias", None)
        self.embeddings.word_embeddings.weight.requires_grad_(False)
        self.layers = nn.ModuleList(Layer(layer, heads) for layer in bert.encoder.layer[:layers])
        again = AutoModel.from_pretrained(base, add_pooling_layer=False)
        self.readers = nn.ModuleList(Layer(layer, heads) for layer in again.encoder.layer[layers - readers : layers])
        self.glance = Glance(hidden, heads) if glance else None
        self.council = Council(hidden) if glance and council else None
        self.judge = nn.Linear(hidden, 1)
        self.none = nn.Linear(hidden, 1)
        self.difficulty = nn.Linear(hidden, len(DIFFICULTIES))
        for head in (self.judge, self.none):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        self.log_scale = nn.Parameter(torch.tensor(math.log(20.0)))
        self.tau = nn.Parameter(torch.tensor(0.3))
        self.centre = nn.Parameter(torch.zeros(hidden))
        self.dropout = nn.Dropout(0.1)
        self.frozen = frozen
        self._memory: dict[bytes, Tensor] = {}
        if frozen:
            for part in (self.embeddings, self.relative, *self.layers[:frozen]):
                if part is not None:
                    part.requires_grad_(False)

    @torch.no_grad()
    def centre_on(self, means: Tensor) -> None:
        """Some encoders put all texts into one corner; from the middle of these [n, hidden], angles tell them apart."""
        middle = means.mean(0)
        self.centre += middle
        if self.glance:
            self.glance.v.bias -= middle

    def encode(self, ids: Tensor, types: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """States [n, tokens, depths, hidden] (see Encoded), and centred means [n, hidden]."""
        remember = self.frozen and mask is not None
        x, bias = self._remembered(ids, types, mask) if remember else self._embedded(ids, types)
        x = self.dropout(x)
        first, states = len(self.layers) - len(self.readers), []
        for depth, layer in enumerate(self.layers[self.frozen :], self.frozen):
            if depth >= first:
                states.append(x)
            x = layer(x, x, mask, bias)
        return torch.stack([*states, x], 2), mean(x, mask) - self.centre

    def _embedded(self, ids: Tensor, types: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.relative is None:
            return self.embeddings(input_ids=ids, token_type_ids=types), None
        x = self.embeddings(input_ids=ids)
        return x, self._positions(x)[:1]

    @torch.no_grad()
    def _remembered(self, ids: Tensor, types: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the frozen layers make of each text, computed once per text."""
        lengths = mask.sum(1).tolist()
        keys = [(ids[i, :n] * 2 + types[i, :n]).numpy().tobytes() for i, n in enumerate(lengths)]
        new = [i for i, key in enumerate(keys) if key not in self._memory]
        if new:
            was, wide = self.training, max(lengths[i] for i in new)
            self.eval()
            x, bias = self._embedded(ids[new, :wide], types[new, :wide])
            for layer in self.layers[: self.frozen]:
                x = layer(x, x, mask[new, :wide], bias)
            self.train(was)
            for row, i in zip(x, new, strict=True):
                self._memory[keys[i]] = row[: lengths[i]].to(torch.float16)
        rows = [self._memory[key].to(torch.float32) for key in keys]
        x = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        x = functional.pad(x, (0, 0, 0, ids.shape[1] - x.shape[1]))
        return x, None if self.relative is None else self._positions(x)[:1]

    def match(self, asks: Encoded, preferences: Encoded, sizes: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        """Logits for each list of preferences [n, its size + 1], the last is none; and of the difficulties [n, 3].

        `preferences` holds the lists one behind the other.
        """
        seen, seen_mask = asks.padded()
        none = self.scale * self.tau + self.none(asks.means)
        findings: Sequence[Tensor | None] = [None] * len(sizes)
        if self.glance:
            logits, found = self.glance(self.dropout(seen[:, :, -1]), seen_mask, preferences.means, self.scale)
            findings = found.split(list(sizes), 1)
        else:
            logits = self.scale * (unit(asks.means) @ unit(preferences.means).T)
        if self.shape.readers:
            logits = logits + self._read(seen, seen_mask, *preferences.padded())
        lists = [torch.cat([part, none], 1) for part in logits.split(list(sizes), 1)]
        if self.council:
            lists = [
                part + self.council(found, asks.means)
                for part, found in zip(lists, findings, strict=True)
                if found is not None
            ]
        return lists, self.difficulty(asks.means)

    def _read(self, asks: Tensor, ask_mask: Tensor, preferences: Tensor, mask: Tensor) -> Tensor:
        """What the judge makes of each preference, read with each ask before its eyes [n, p]."""
        n, p = len(asks), len(preferences)
        x = preferences[:, :, 0].repeat(n, 1, 1)
        wide, masks = asks.repeat_interleave(p, 0), mask.repeat(n, 1)
        both = torch.cat([masks, ask_mask.repeat_interleave(p, 0)], 1)
        for depth, layer in enumerate(self.readers):
            x = layer(x, torch.cat([x, wide[:, :, depth]], 1), both)
        return self.judge(self.dropout(mean(x, masks))).view(n, p)

    def new_parameters(self) -> list[nn.Parameter]:
        """What no pretraining has seen."""
        heads = [self.judge, self.none, self.difficulty, *([self.glance.judge] if self.glance else [])]
        heads += [self.council] if self.council else []
        return [self.log_scale, self.tau, *(p for head in heads for p in head.parameters())]

    @property
    def scale(self) -> Tensor:
        return self.log_scale.exp()


def mean(x: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return x.mean(1)
    weight = mask.unsqueeze(-1).to(x.dtype)
    return (x * weight).sum(1) / weight.sum(1)


def unit(x: Tensor) -> Tensor:
    return functional.normalize(x, dim=-1)

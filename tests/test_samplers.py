import torch

from mien.training.randomness import generator
from mien.training.samplers import reversed_order, uniform_order

FER2013_SIZES = (3995, 436, 4097, 7215, 4830, 3171, 4965)
CHI_SQUARE_BOUND = {6: 22.46, 99: 148.23}
"""Exceeded with a probability of 0.001, by degrees of freedom (tables of the chi-square distribution)."""


def chi_square(counts: torch.Tensor, expected: torch.Tensor) -> float:
    return float(((counts - expected) ** 2 / expected).sum())


def test_uniform_shows_every_face_once() -> None:
    order = uniform_order(1000, 1000, generator(0, "order", 3))
    assert sorted(order.tolist()) == list(range(1000))
    assert torch.equal(order, uniform_order(1000, 1000, generator(0, "order", 3)))
    assert not torch.equal(order, uniform_order(1000, 1000, generator(0, "order", 4)))
    longer = uniform_order(10, 25, generator(0, "order", 0))
    assert sorted(longer[:10].tolist()) == sorted(longer[10:20].tolist()) == list(range(10))
    assert len(longer) == 25
    assert len(set(longer[20:].tolist())) == 5
    first_tenth = torch.stack([uniform_order(100, 100, generator(0, "order", epoch))[:10] for epoch in range(1000)])
    counts = torch.bincount(first_tenth.flatten(), minlength=100).double()
    assert chi_square(counts, torch.full((100,), 100.0)) < CHI_SQUARE_BOUND[99]


def test_reversed_draws_classes_by_inverse_frequency() -> None:
    sizes = torch.tensor(FER2013_SIZES)
    labels = torch.arange(7).repeat_interleave(sizes)
    drawn = labels[reversed_order(labels, 28_709, generator(0, "reversed order", 0))]
    weights = sizes.max() / sizes  # w_i = N_max / N_i
    expected = 28_709 * weights / weights.sum()
    counts = torch.bincount(drawn, minlength=7).double()
    assert chi_square(counts, expected) < CHI_SQUARE_BOUND[6]
    uniform = torch.full((7,), 28_709 / 7)
    assert chi_square(counts, uniform) > 100 * CHI_SQUARE_BOUND[6]  # so the bound can fail


def test_reversed_draws_faces_of_a_class_equally() -> None:
    labels = torch.tensor([0] * 100 + [2] * 300)  # class 1 has no faces
    order = reversed_order(labels, 40_000, generator(1, "reversed order", 0))
    counts = torch.bincount(order, minlength=400).double()
    rare = counts[:100]
    assert abs(rare.sum() / 40_000 - 0.75) < 0.01  # weights 3 and 1
    assert chi_square(rare, torch.full((100,), float(rare.sum()) / 100)) < CHI_SQUARE_BOUND[99]


def test_reversed_order_is_seeded() -> None:
    labels = torch.arange(5).repeat(20)
    order = reversed_order(labels, 64, generator(0, "reversed order", 2))
    assert torch.equal(order, reversed_order(labels, 64, generator(0, "reversed order", 2)))
    assert not torch.equal(order, reversed_order(labels, 64, generator(0, "reversed order", 3)))
    assert order.shape == (64,)

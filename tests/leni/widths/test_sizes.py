from fractions import Fraction

from leni.widths.sizes import Equations, Size


def chosen(equations: Equations, *channels: int) -> list[Size]:
    return [equations.new(count, chosen=True) for count in channels]


def test_equal_sizes_are_one_width() -> None:
    equations = Equations()
    a, b, c = chosen(equations, 6, 6, 4)

    equations.equate(a, b, "sum")

    assert equations.solve(a) == equations.solve(b) != equations.solve(c)
    assert len(equations.free()) == 2


def test_width_equal_to_a_sum_follows_its_members() -> None:
    equations = Equations()
    a, b, total = chosen(equations, 3, 5, 8)

    equations.equate(total, a.plus(b), "residual sum")

    first, second = equations.free()
    assert equations.solve(total).value({first: 2, second: 7}) == 9


def test_half_of_a_width_makes_it_even() -> None:
    equations = Equations()
    (a,) = chosen(equations, 12)

    equations.divide(a, 4, "groups")
    equations.divide(a.times(Fraction(1, 2)), 3, "groups of a half")

    assert equations.widths[0].parts == 12


def test_what_cannot_be_divided_or_expressed_is_fixed_with_its_reason() -> None:
    equations = Equations()
    a, b, c = chosen(equations, 5, 7, 12)

    equations.divide(a, 2, "halves")
    equations.equate(b.plus(c), Size.of(19), "a number in the code")

    assert [equations.reason(size) for size in (a, b, c)] == ["halves"] + ["a number in the code"] * 2
    assert equations.free() == []


def test_sums_of_equal_members_are_equal_member_by_member() -> None:
    equations = Equations()
    a, b, c, d = chosen(equations, 3, 5, 5, 3)

    equations.equate(a.plus(b), c.plus(d), "sum of concatenations")

    assert equations.solve(a) == equations.solve(d)
    assert equations.solve(b) == equations.solve(c)


def test_balanced_sum_gives_its_members_when_split() -> None:
    equations = Equations()
    a, b = chosen(equations, 6, 6)

    equations.balance(a.plus(b), 2, "chunk")

    assert equations.solve(a.plus(b).times(Fraction(1, 2))) == equations.solve(a)


def test_single_channels_are_no_width() -> None:
    assert Equations().new(1, chosen=True) == Size.of(1)

"""Which captures are created next."""

from pkg.controllers.admission import Candidate, admit


def of(repository: str, count: int, start: int = 0) -> list[Candidate]:
    return [Candidate(name=f"{repository}-{index}", repository=repository) for index in range(start, start + count)]


def names(candidates: list[Candidate]) -> list[str]:
    return [candidate.name for candidate in candidates]


def test_a_repository_has_at_most_four_at_a_time() -> None:
    assert names(admit(of("a", 9), [])) == ["a-0", "a-1", "a-2", "a-3"]


def test_what_runs_already_counts() -> None:
    assert names(admit(of("a", 9, start=3), of("a", 3))) == ["a-3"]


def test_the_cluster_has_a_limit() -> None:
    waiting = [candidate for index in range(20) for candidate in of(f"ns{index}", 4)]
    assert len(admit(waiting, [])) == 32


def test_a_namespace_with_many_volumes_does_not_starve_one_with_few() -> None:
    admitted = names(admit(of("many", 1000) + of("few", 2), [], whole_cluster=4))
    assert sorted(admitted) == ["few-0", "few-1", "many-0", "many-1"]


def test_a_full_cluster_admits_nothing() -> None:
    assert admit(of("a", 1), of("b", 4), whole_cluster=4) == []

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


def pod(name: str, count: int, repository: str = "a") -> list[Candidate]:
    """The volumes of a pod that is to be frozen."""
    return [Candidate(name=f"{name}-{index}", repository=repository, group=name) for index in range(count)]


def test_a_pod_that_is_to_be_frozen_is_admitted_whole_or_not_at_all() -> None:
    assert names(admit(pod("db", 3) + pod("web", 2), [])) == ["db-0", "db-1", "db-2"]


def test_a_pod_with_more_volumes_than_the_limit_has_the_repository_to_itself() -> None:
    assert names(admit(pod("db", 6) + of("a", 1), [])) == [f"db-{index}" for index in range(6)]
    assert admit(pod("db", 6), of("a", 1)) == []


def test_a_pod_that_was_admitted_in_part_gets_the_rest_whatever_runs() -> None:
    volumes = pod("db", 6)
    assert admit(volumes[2:], volumes[:2] + of("a", 3), whole_cluster=4) == volumes[2:]


def test_a_large_pod_is_not_overtaken_in_its_repository() -> None:
    assert admit(pod("db", 4) + of("a", 9), of("a", 1, start=9)) == []

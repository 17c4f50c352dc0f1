"""Which captures are created next."""

from collections import Counter

from pkg.controllers.admission import AHEAD_OF_A_NODE, Candidate, admit


def of(repository: str, count: int, start: int = 0) -> list[Candidate]:
    names = [f"{repository}-{index}" for index in range(start, start + count)]
    return [Candidate(name=name, repository=repository, node=f"node of {name}") for name in names]


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
    names = [f"{name}-{index}" for index in range(count)]
    return [Candidate(name=one, repository=repository, group=name, node=f"node of {name}") for one in names]


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


def wants(
    backup: str, repository: str, count: int, *, node: str = "", group: str = "", has_slot: bool = False
) -> list[Candidate]:
    return [
        Candidate(
            name=f"{backup}-{repository}-{group}{index}",
            repository=repository,
            backup=backup,
            node=node or f"node of {backup}-{repository}-{group or index}",
            group=group,
            has_slot=has_slot,
        )
        for index in range(count)
    ]


def test_two_backups_share_one_limit() -> None:
    waiting = wants("old", "a", 9) + wants("new", "a", 9)
    assert len(admit(waiting, [])) == 4
    assert len(admit(waiting, wants("gone", "a", 3))) == 1


def test_a_backup_with_many_volumes_does_not_starve_another_of_the_same_namespace() -> None:
    admitted = names(admit(wants("many", "a", 1000) + wants("few", "a", 2), []))
    assert sorted(admitted) == ["few-a-0", "few-a-1", "many-a-0", "many-a-1"]


def test_a_backup_that_holds_the_repository_lets_the_other_have_what_comes_free() -> None:
    running = wants("many", "a", 3)
    assert names(admit(wants("many", "a", 9)[3:] + wants("few", "a", 2), running)) == ["few-a-0"]


def test_namespaces_come_before_backups() -> None:
    waiting = wants("one", "a", 9) + wants("one", "b", 9) + wants("two", "a", 9)
    admitted = admit(waiting, [], whole_cluster=4)
    assert sorted(one.repository for one in admitted) == ["a", "a", "b", "b"]


def test_of_namespaces_with_as_many_the_one_on_the_least_busy_node_goes_first() -> None:
    waiting = wants("x", "a", 1, node="busy") + wants("x", "b", 1, node="idle")
    running = wants("x", "c", 2, node="busy")
    assert names(admit(waiting, running, whole_cluster=3)) == ["x-b-0"]


def test_a_large_pod_is_not_overtaken_in_a_full_cluster() -> None:
    large = wants("x", "db", 3, group="pod")
    assert admit(large + wants("x", "a", 9), wants("x", "b", 2), whole_cluster=4) == []
    assert admit(large + wants("x", "a", 9), wants("x", "b", 1), whole_cluster=4) == large


def test_a_large_pod_whose_repository_is_full_holds_nobody_else_back() -> None:
    waiting = wants("x", "db", 3, group="pod") + wants("x", "a", 1)
    assert names(admit(waiting, wants("y", "db", 2))) == ["x-a-0"]


def test_one_pod_in_two_backups_is_two_groups() -> None:
    first, second = wants("one", "a", 3, group="pod"), wants("two", "a", 3, group="pod")
    assert admit(second, first) == []


def test_nothing_begins_in_a_closed_repository_and_others_go_on() -> None:
    waiting = wants("x", "a", 2) + wants("x", "b", 2)
    assert names(admit(waiting, [], closed={"a"})) == ["x-b-0", "x-b-1"]


def test_a_pod_that_has_begun_is_completed_in_a_closed_repository() -> None:
    volumes = wants("x", "a", 3, group="pod")
    assert admit(volumes[1:], volumes[:1], closed={"a"}) == volumes[1:]


def test_a_busy_node_does_not_hold_the_places_of_the_whole_cluster() -> None:
    waiting = [one for number in range(20) for one in wants("x", f"ns{number}", 4, node="busy")]
    waiting += wants("x", "other", 2, node="idle")
    admitted = admit(waiting, wants("x", "slow", 4, node="busy", has_slot=True))
    assert Counter(one.node for one in admitted) == {"busy": AHEAD_OF_A_NODE, "idle": 2}


def test_in_a_namespace_the_volumes_of_a_busy_node_are_overtaken_by_those_of_others() -> None:
    waiting = wants("x", "a", 9, node="busy") + wants("y", "a", 2, node="idle")
    admitted = admit(waiting, wants("z", "b", AHEAD_OF_A_NODE, node="busy"))
    assert names(admitted) == ["y-a-0", "y-a-1"]


def test_a_pod_that_is_to_be_frozen_counts_once_on_its_node() -> None:
    running = wants("x", "a", AHEAD_OF_A_NODE - 1, node="n1")
    pod_of_three = wants("x", "db", 3, node="n1", group="pod")
    assert admit(pod_of_three, running) == pod_of_three

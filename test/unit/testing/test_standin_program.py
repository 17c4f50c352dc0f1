"""Which pods' programs the stand-in runs for real, and what environment they get."""

import pytest

from pkg.apis.meta import ObjectMeta
from pkg.testing.standin_kinds import EnvVar, Pod, PodSpec, ProgramContainer
from pkg.testing.standin_program import program_of, value_of


def pod(restart_policy: str, *command: str) -> Pod:
    container = ProgramContainer(name="c", command=command or None)
    return Pod(
        metadata=ObjectMeta(name="p", namespace="n", uid="u"),
        spec=PodSpec(restart_policy=restart_policy, containers=(container,), node_name="node1"),
    )


@pytest.mark.parametrize(
    ("given", "runs"),
    [
        pytest.param(pod("Never", "ark"), True, id="a Job's pod runs"),
        pytest.param(pod("Never", "/usr/local/bin/ark"), True, id="its program may have a path"),
        pytest.param(pod("Always", "ark"), False, id="an agent of the DaemonSet does not: tests start agents"),
        pytest.param(pod("Never", "sh"), False, id="another program does not"),
        pytest.param(pod("Never"), False, id="a container without a command does not"),
    ],
)
def test_only_a_program_of_ours_that_ends_by_itself_is_run(given: Pod, runs: bool) -> None:
    assert (program_of(given) is not None) is runs


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        pytest.param(EnvVar(name="A", value="1"), "1", id="a plain value"),
        pytest.param(
            EnvVar(name="A", value_from={"fieldRef": {"fieldPath": "metadata.namespace"}}), "n", id="the namespace"
        ),
        pytest.param(EnvVar(name="A", value_from={"fieldRef": {"fieldPath": "spec.nodeName"}}), "node1", id="the node"),
        pytest.param(EnvVar(name="A", value_from={"secretKeyRef": {"name": "s"}}), "", id="a Secret is not read"),
    ],
)
def test_a_variable_has_the_value_that_a_container_would_see(variable: EnvVar, value: str) -> None:
    assert value_of(variable, pod("Never", "ark")) == value

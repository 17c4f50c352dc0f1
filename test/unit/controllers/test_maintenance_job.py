"""The Job object, its size, and what the server's pod lends it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.meta import JsonObject, ObjectMeta
from pkg.apis.volumes import ResticRepository, ResticRepositoryStatus
from pkg.controllers.maintenance_job import (
    JobOptions,
    JobTemplate,
    build_job,
    job_name,
    template_of,
    template_without_deployment,
)
from pkg.controllers.maintenance_memory import MIB, index_bytes, parse_quantity, predicted_bytes, too_low
from pkg.controllers.maintenance_options import parse_options
from pkg.controllers.maintenance_plan import Verb
from pkg.testing.fakestore import FakeStore

DEPLOYMENT: JsonObject = {
    "spec": {
        "template": {
            "metadata": {"labels": {"component": "ark", "azure.workload.identity/use": "true"}},
            "spec": {
                "serviceAccountName": "ark",
                "volumes": [{"name": "cloud-credentials", "secret": {"secretName": "cloud-credentials"}}],
                "securityContext": {"runAsNonRoot": True},
                "containers": [
                    {
                        "name": "ark",
                        "image": "registry/ark:1",
                        "args": ["server"],
                        "ports": [{"containerPort": 8085}],
                        "livenessProbe": {"httpGet": {}},
                        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy"}],
                        "resources": {"limits": {"memory": "9Gi"}},
                    }
                ],
            },
        }
    }
}


def repository(name: str = "shop", recorded: int = 3) -> ResticRepository:
    return ResticRepository(
        metadata=ObjectMeta(name=name, namespace="heptio-ark", uid="uid-1"),
        status=ResticRepositoryStatus(maintenance_runs=recorded),
    )


def built(template: JobTemplate | None = None, options: JobOptions | None = None, image: str = "") -> Any:
    return build_job(
        repository(),
        [Verb.FORGET, Verb.PRUNE],
        request="",
        image=image,
        template=template or template_of(DEPLOYMENT),
        options=options or JobOptions(),
    )


def test_the_job_reaches_the_store_as_the_server_does() -> None:
    pod = built()["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["volumes"] == [{"name": "cloud-credentials", "secret": {"secretName": "cloud-credentials"}}]
    assert pod["securityContext"] == {"runAsNonRoot": True}
    assert {"name": "HTTPS_PROXY", "value": "http://proxy"} in container["env"]
    assert container["image"] == "registry/ark:1"


def test_but_it_is_no_server() -> None:
    job = built(image="ark/ark:2")
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["serviceAccountName"] == "ark-maintenance"
    assert pod["restartPolicy"] == "Never"
    assert container["command"] == ["ark"]
    assert container["args"] == ["restic", "maintenance", "shop", "--uid=uid-1", "--do=forget,prune"]
    assert container["image"] == "ark/ark:2"
    assert not {"ports", "livenessProbe"} & set(container)
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert "component" not in labels, "the server's Deployment would count it as its own"
    assert labels["azure.workload.identity/use"] == "true"


def test_its_end_is_bounded_and_it_is_cleaned_up() -> None:
    spec = built()["spec"]
    assert (spec["activeDeadlineSeconds"], spec["backoffLimit"]) == (4 * 3600, 0)
    assert spec["ttlSecondsAfterFinished"] == 24 * 3600


def test_it_goes_with_its_repository() -> None:
    (owner,) = built()["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == (
        "ResticRepository",
        "shop",
        "uid-1",
        True,
    )


def test_its_name_follows_from_what_was_recorded() -> None:
    assert job_name(repository()) == job_name(repository())
    assert job_name(repository(recorded=4)) != job_name(repository())
    assert len(job_name(repository("n" * 253, recorded=99_999))) <= 63


def test_size_and_place_come_from_the_config_map() -> None:
    options = parse_options(
        {
            "memLimit": "4Gi",
            "cpuRequest": "1",
            "nodeSelector": '{"disk": "fast"}',
            "tolerations": '[{"key": "a", "operator": "Exists"}]',
            "affinity": '{"nodeAffinity": {}}',
        }
    )
    pod = built(options=options)["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"disk": "fast"}
    assert pod["tolerations"] == [{"key": "a", "operator": "Exists"}]
    assert pod["affinity"] == {"nodeAffinity": {}}
    assert pod["containers"][0]["resources"] == {
        "requests": {"cpu": "1", "memory": "256Mi"},
        "limits": {"memory": "4Gi"},
    }
    assert {"name": "GOMEMLIMIT", "value": "3590MiB"} in pod["containers"][0]["env"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param({"memLimt": "1Gi"}, "unknown key memLimt", id="a slip of the pen"),
        pytest.param({"memLimit": "much"}, '"much" is not a quantity', id="no quantity"),
        pytest.param({"affinity": "nodeAffinity: {}"}, "affinity is not the JSON", id="YAML where JSON belongs"),
        pytest.param({"tolerations": "{}"}, "tolerations is not the JSON", id="no list"),
    ],
)
def test_a_config_map_that_cannot_be_read_is_named(data: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_options(data)


def test_a_server_outside_of_its_cluster_lends_files_but_no_secrets() -> None:
    environ = {"AWS_SHARED_CREDENTIALS_FILE": "/c", "AWS_SECRET_ACCESS_KEY": "s3cret", "AZURE_STORAGE_KEY": "s3cret"}
    environ |= {"HTTPS_PROXY": "http://proxy:3128", "HTTP_PROXY": "http://me:s3cret@proxy", "RESTIC_CACERT": "/ca"}
    template = template_without_deployment(environ, "ark:1")
    env = template.container["env"]
    assert isinstance(env, list)
    assert {"name": "HTTPS_PROXY", "value": "http://proxy:3128"} in env
    assert {"name": "RESTIC_CACERT", "value": "/ca"} in env
    assert "s3cret" not in msgspec.json.encode(template.container).decode()
    assert {"name": "AWS_SHARED_CREDENTIALS_FILE", "value": "/c"} in built(template)["spec"]["template"]["spec"][
        "containers"
    ][0]["env"]


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1.0), ("512Mi", 512 * MIB), ("1Gi", 1024 * MIB), ("1.5G", 1.5e9), ("100m", 0.1), ("2k", 2000.0)],
)
def test_quantities(text: str, number: float) -> None:
    assert parse_quantity(text) == pytest.approx(number)


def test_memory_is_told_from_the_index_and_nothing_else() -> None:
    store = FakeStore()
    store.objects = {
        "shop/index/a": b"x" * 1000,
        "shop/index/b": b"x" * 24,
        "shop/data/a": b"x" * 9999,
        "shop2/index/a": b"x",
    }
    assert index_bytes(store, "shop") == 1024


@pytest.mark.parametrize(
    ("index", "limit", "refused"),
    [
        pytest.param(0, "256Mi", None, id="a small one fits into little"),
        pytest.param(50 * MIB, "1Gi", None, id="a million blobs fit into the default"),
        pytest.param(400 * MIB, "1Gi", "at least 6592Mi", id="ten million do not, and the number is told"),
        pytest.param(400 * MIB, "", None, id="no limit, no refusal"),
    ],
)
def test_a_limit_that_is_too_low_is_refused_with_the_number(index: int, limit: str, refused: str | None) -> None:
    told = too_low(limit, predicted_bytes(index))
    assert told is None if refused is None else refused in (told or "")

"""`ark debug`: what is in the bundle, and that no secret is, wherever one was planted."""

from __future__ import annotations

import base64
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pkg.apis.meta import Json, JsonObject
from pkg.cli.debug_redaction import redacted, scrubbed
from pkg.kube import refs
from pkg.kube.resources import ResourceRef
from pkg.kube.wire import JSON_TYPE, REQUEST_SECONDS, Response
from pkg.testing.fakeapi import RESOURCES, FakeApi

Ark = Callable[..., tuple[int, str, str]]
PLANTED = "hunter2-pl4nted"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhcmsifQ.c2lnbmF0dXJl"
PRESIGNED = (
    f"https://store.example.com/ark/b1/b1.tar.gz?X-Amz-Credential=AKIAABCDEFGHIJKLMNOP&X-Amz-Signature={PLANTED}"
)
LOG = f"""time=1 level=info msg="Server starting" s3=http://user:{PLANTED}@store:9000/ark
time=2 level=error msg="PUT {PRESIGNED} failed"
time=3 level=debug Authorization: Bearer {TOKEN}
time=4 level=info aws_secret_access_key={PLANTED} password="{PLANTED} with words"
time=5 level=info running mysqldump --password {PLANTED} --host db
"""
DEPLOYMENTS = ResourceRef(group="apps", plural="deployments", kind="Deployment")


class Cluster(FakeApi):
    """Has pods' logs and the version too."""

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON_TYPE,
        accept: str = JSON_TYPE,
        timeout_seconds: float = REQUEST_SECONDS,
    ) -> Response:
        if path.endswith("/log"):
            return Response(status=200, headers={}, body=LOG.encode())
        if path == "/version":
            return Response(status=200, headers={}, body=b'{"gitVersion":"v1.34.0"}')
        return super().request(
            method,
            path,
            query=query,
            body=body,
            content_type=content_type,
            accept=accept,
            timeout_seconds=timeout_seconds,
        )


@pytest.fixture
def api() -> FakeApi:
    made = Cluster([*RESOURCES, DEPLOYMENTS])
    made.add(refs.NAMESPACES, {"metadata": {"name": "heptio-ark"}})
    return made


def put(api: FakeApi, ref: ResourceRef, name: str, **fields: Json) -> None:
    metadata: JsonObject = {
        "name": name,
        "namespace": "heptio-ark",
        "labels": {"component": "ark"},
        "annotations": {
            "example.com/note": PLANTED,
            "kubectl.kubernetes.io/last-applied-configuration": f'{{"password":"{PLANTED}"}}',
            "backup.ark.heptio.com/backup-volumes": "data",
        },
        "managedFields": [{"manager": PLANTED}],
    }
    api.add(ref, {"metadata": metadata, **fields})


@pytest.fixture
def planted(api: FakeApi) -> FakeApi:
    hook: JsonObject = {"exec": {"container": "db", "command": ["mysql", f"-p{PLANTED}"]}}
    data: JsonObject = {"repository-password": base64.b64encode(PLANTED.encode()).decode()}
    put(api, refs.SECRETS, "ark-restic-credentials", data=data)
    put(api, refs.CONFIG_MAPS, "anything", data={"key": PLANTED})
    put(api, refs.BACKUPS, "b1", spec={"hooks": {"resources": [{"name": "h", "pre": [hook]}]}}, status={"phase": "New"})
    status: JsonObject = {"phase": "Processed", "downloadURL": PRESIGNED, "token": PLANTED, "serverPod": "ark-1"}
    put(api, refs.DOWNLOAD_REQUESTS, "b1-2026", spec={"target": {"kind": "BackupLog", "name": "b1"}}, status=status)
    settings: JsonObject = {"s3Url": f"http://user:{PLANTED}@store:9000", "region": "minio", "secretKey": PLANTED}
    put(api, refs.CONFIGS, "default", backupStorageProvider={"name": "aws", "bucket": "ark", "config": settings})
    identifier = f"s3:http://user:{PLANTED}@store:9000/ark/restic/shop"
    put(api, refs.RESTIC_REPOSITORIES, "shop", spec={"resticIdentifier": identifier}, status={"message": LOG})
    container: JsonObject = {
        "name": "ark",
        "image": "ark/ark:1",
        "command": ["ark", "--token", PLANTED],
        "args": [PLANTED],
        "env": [
            {"name": "AWS_SECRET_ACCESS_KEY", "value": PLANTED},
            {"name": "SHARED", "valueFrom": {"secretKeyRef": {"name": "cloud-credentials", "key": "cloud"}}},
        ],
    }
    spec: JsonObject = {"containers": [container], "volumes": [{"secret": {"secretName": "cloud-credentials"}}]}
    state: JsonObject = {"phase": "Running", "containerStatuses": [{"name": "ark", "restartCount": 1}]}
    put(api, refs.PODS, "ark-1", spec=spec, status=state)
    put(api, DEPLOYMENTS, "ark", spec={"template": {"metadata": {"annotations": {"a": PLANTED}}, "spec": spec}})
    put(api, refs.EVENTS, "e1", message=f"failed with password={PLANTED}", reason="Failed")
    return api


def bundle(path: Path) -> dict[str, str]:
    with tarfile.open(path) as tar:
        files = {member.name.partition("/")[2]: tar.extractfile(member) for member in tar.getmembers()}
        return {name: file.read().decode() for name, file in files.items() if file}


def test_no_secret_is_in_the_bundle_wherever_one_was_planted(
    ark: Ark, planted: FakeApi, tmp_path: Path, forwarded: list[tuple[str, int]]
) -> None:
    target = tmp_path / "bundle.tar.gz"
    forwarded.append(("127.0.0.1", 1))  # nothing listens there
    ark("debug", "-o", str(target))
    found = bundle(target)
    everything = "\n".join(f"{name}\n{text}" for name, text in found.items())
    for secret in (PLANTED, base64.b64encode(PLANTED.encode()).decode(), TOKEN, "AKIAABCDEFGHIJKLMNOP"):
        assert secret not in everything
    assert not any(request.ref in (refs.SECRETS, refs.CONFIG_MAPS) for request in planted.requests)


def test_what_helps_is_in_the_bundle(
    ark: Ark, planted: FakeApi, tmp_path: Path, forwarded: list[tuple[str, int]]
) -> None:
    target = tmp_path / "bundle.tar.gz"
    forwarded.append(("127.0.0.1", 1))  # nothing listens there
    code, out, err = ark("debug", "-o", str(target))
    found = bundle(target)
    assert '"gitVersion":"v1.34.0"' in found["versions.txt"]
    assert "server: ark/ark:1 (not ready)" in found["versions.txt"]
    assert '"backup.ark.heptio.com/backup-volumes": "data"' in found["objects/backups.json"]
    assert '"region": "minio"' in found["objects/configs.json"]
    assert '"serverPod": "ark-1"' in found["objects/downloadrequests.json"]
    assert '"name": "AWS_SECRET_ACCESS_KEY"' in found["workloads/pods.json"]
    assert '"secretName": "cloud-credentials"' in found["workloads/pods.json"]
    assert '"reason": "Failed"' in found["workloads/events.json"]
    assert 'msg="Server starting" s3=http://<redacted>@store:9000/ark' in found["logs/ark-1/ark.log"]
    assert "logs/ark-1/ark.previous.log" in found
    assert (code, target.stat().st_mode & 0o777) == (1, 0o600)
    assert str(target) in out
    assert "missing: metrics/ark-1.txt: " in err
    assert found["problems.txt"].startswith("metrics/ark-1.txt: ")


def test_a_bundle_does_not_replace_a_file(ark: Ark, planted: FakeApi, tmp_path: Path) -> None:
    target = tmp_path / "bundle.tar.gz"
    target.write_text("mine")
    code, _, err = ark("debug", "-o", str(target))
    assert (code, target.read_text()) == (1, "mine")
    assert "give --force" in err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("http://store:9000/ark/b1", "http://store:9000/ark/b1", id="an address stays"),
        pytest.param("s3:https://a:b@store/x", "s3:https://<redacted>@store/x", id="a user in an address"),
        pytest.param("GET https://s/x?sig=abc done", "GET https://s/x?<redacted> done", id="a query"),
        pytest.param('"password": "a b c"', '"password": <redacted>', id="a quoted value"),
        pytest.param("repository_password='a b'", "repository_password=<redacted>", id="a value in single quotes"),
        pytest.param("level=info token=abc,next=1", "level=info token=<redacted>,next=1", id="a pair in logfmt"),
        pytest.param("-----BEGIN PRIVATE KEY-----\nabc", "<redacted>", id="a key that is cut off"),
        pytest.param("reason=WrongPassword seconds=3", "reason=WrongPassword seconds=3", id="a reason stays"),
        pytest.param("secretName cloud-credentials", "secretName cloud-credentials", id="a name of a Secret stays"),
    ],
)
def test_texts_lose_what_looks_like_a_secret(text: str, expected: str) -> None:
    assert scrubbed(text) == expected


def test_a_field_with_a_secrets_name_is_taken_out_whatever_it_holds() -> None:
    assert redacted({"sessionToken": "x", "secretName": "n", "count": 3}) == {
        "sessionToken": "<redacted>",
        "secretName": "n",
        "count": 3,
    }

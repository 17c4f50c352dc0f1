"""The Job that works on one repository, built from what the server's own pod is made of.

What reaches the store from the server (credentials, proxies, certificates, workload identity) reaches it from the
Job, whatever cloud's manifests were applied: its pod is the Deployment's, with another command, account and size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pkg.apis.jobs import Job
from pkg.apis.meta import Json, JsonObject
from pkg.apis.names import (
    API_VERSION,
    MAINTAIN_ANNOTATION,
    MAINTENANCE_ACCOUNT,
    MAINTENANCE_LABEL,
    REPOSITORY_LABEL,
)
from pkg.apis.volumes import ResticRepository
from pkg.controllers.maintenance_memory import MIB, parse_quantity
from pkg.controllers.maintenance_plan import Verb
from pkg.controllers.verification_plan import NOTHING, Measure
from pkg.restic.environment import STORE_VARIABLES
from pkg.volumes.naming import label_value

JOB_SECONDS = 4 * 3600
KEPT_SECONDS = 24 * 3600
GRACE_SECONDS = 120  # restic needs 60 s to give its lock back on a dead store
VERBS_ANNOTATION = "ark.heptio.com/verbs"
PART_ANNOTATION = "ark.heptio.com/part"  # what of the data is read, such as 7/100
PART_BYTES_ANNOTATION = "ark.heptio.com/part-bytes"
CONTAINER = "maintenance"
_POD_FIELDS = (
    *("volumes", "imagePullSecrets", "securityContext", "tolerations", "nodeSelector", "affinity", "hostAliases"),
    *("dnsPolicy", "dnsConfig", "priorityClassName", "runtimeClassName"),
)
_CONTAINER_FIELDS = ("image", "imagePullPolicy", "env", "envFrom", "volumeMounts", "securityContext")
_KEPT_LABELS = ("azure.workload.identity/use",)
_IDENTITY = (("POD_NAME", "metadata.name"), ("POD_UID", "metadata.uid"), ("NODE_NAME", "spec.nodeName"))
_CARRIED = (
    *("AWS_SHARED_CREDENTIALS_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "ARK_SCRATCH_DIR"),
    *("AWS_CA_BUNDLE", "AZURE_STORAGE_ACCOUNT_ID", *sorted(STORE_VARIABLES)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTemplate:
    """What of the server's pod the Job's takes over.

    Attributes:
        pod: Fields of the pod's spec.
        container: Fields of its container.
        labels: Labels that must be on the pod.
    """

    pod: JsonObject = field(default_factory=dict)
    container: JsonObject = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What the ConfigMap of maintenance says of the Job's size and place; empty values leave the template's."""

    cpu_request: str = "100m"
    memory_request: str = "256Mi"
    cpu_limit: str = ""
    memory_limit: str = "1Gi"
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Json] = ()
    affinity: JsonObject = field(default_factory=dict)


def template_of(deployment: JsonObject) -> JobTemplate:
    """The template from the server's Deployment."""
    pod_template = _object(_object(deployment, "spec"), "template")
    spec = _object(pod_template, "spec")
    containers = spec.get("containers")
    first = containers[0] if isinstance(containers, list) and containers and isinstance(containers[0], dict) else {}
    labels = _object(_object(pod_template, "metadata"), "labels")
    return JobTemplate(
        pod={name: spec[name] for name in _POD_FIELDS if name in spec},
        container={name: first[name] for name in _CONTAINER_FIELDS if name in first},
        labels={name: str(labels[name]) for name in _KEPT_LABELS if name in labels},
    )


def template_without_deployment(environ: Mapping[str, str], image: str) -> JobTemplate:
    """For a server that runs outside of its cluster: the files that it reads, how it gets out, and no secret's text."""
    carried = {name: environ[name] for name in _CARRIED if environ.get(name)}
    # A proxy's address may hold a password.
    paths: list[Json] = [{"name": name, "value": value} for name, value in carried.items() if "@" not in value]
    namespace: Json = {
        "name": "HEPTIO_ARK_NAMESPACE",
        "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}},
    }
    return JobTemplate(container={"image": image, "env": [namespace, *paths]})


def job_name(repository: ResticRepository) -> str:
    """The name of the repository's next Job: it follows from how many were recorded, so none is made twice."""
    meta = repository.metadata
    digest = hashlib.sha256(meta.uid.encode()).hexdigest()[:10]
    return f"ark-maintain-{meta.name[:28].rstrip('.-')}-{digest}-{repository.status.maintenance_runs}"


def verbs_of(job: Job) -> tuple[Verb, ...]:
    """What a Job does."""
    words = job.metadata.annotation(VERBS_ANNOTATION).split(",")
    return tuple(verb for verb in Verb if verb.value in words)


def measure_of(job: Job) -> Measure:
    """What a Job reads of the data."""
    size = job.metadata.annotation(PART_BYTES_ANNOTATION)
    return Measure(part=job.metadata.annotation(PART_ANNOTATION), part_bytes=int(size) if size.isdecimal() else 0)


def build_job(
    repository: ResticRepository,
    verbs: Sequence[Verb],
    *,
    request: str,
    image: str,
    template: JobTemplate,
    options: JobOptions,
    measure: Measure = NOTHING,
) -> JsonObject:
    """The Job to create, owned by its repository; `request` is the annotation that it carries out, empty for none."""
    labels = _labels(repository)
    words = ",".join(verbs)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(repository),
            "namespace": repository.metadata.namespace,
            "labels": labels,
            "annotations": _annotations(words, request, measure),
            "ownerReferences": [_owner(repository)],
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": JOB_SECONDS,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {
                "metadata": {"labels": {**labels, **template.labels}},
                "spec": _pod(repository, words, measure.part, image, template, options),
            },
        },
    }


def _annotations(words: str, request: str, measure: Measure) -> JsonObject:
    reads = {PART_ANNOTATION: measure.part, PART_BYTES_ANNOTATION: str(measure.part_bytes)} if measure.part else {}
    return {VERBS_ANNOTATION: words, **({MAINTAIN_ANNOTATION: request} if request else {}), **reads}


def _labels(repository: ResticRepository) -> JsonObject:
    component, value = MAINTENANCE_LABEL
    return {component: value, REPOSITORY_LABEL: label_value(repository.metadata.name)}


def _pod(
    repository: ResticRepository, words: str, part: str, image: str, template: JobTemplate, options: JobOptions
) -> JsonObject:
    placed: JsonObject = {
        **({"nodeSelector": dict(options.node_selector)} if options.node_selector else {}),
        **({"tolerations": list(options.tolerations)} if options.tolerations else {}),
        **({"affinity": options.affinity} if options.affinity else {}),
    }
    return {
        **template.pod,
        **placed,
        "serviceAccountName": MAINTENANCE_ACCOUNT,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "containers": [_container(repository, words, part, image, template, options)],
    }


def _container(
    repository: ResticRepository, words: str, part: str, image: str, template: JobTemplate, options: JobOptions
) -> JsonObject:
    found = template.container.get("env")
    env: list[Json] = [*found] if isinstance(found, list) else []
    requests = _quantities(options.cpu_request, options.memory_request)
    limits = _quantities(options.cpu_limit, options.memory_limit)
    return {
        **template.container,
        **({"image": image} if image else {}),
        "name": CONTAINER,
        "command": ["ark"],
        "args": [
            "restic",
            "maintenance",
            repository.metadata.name,
            f"--uid={repository.metadata.uid}",
            f"--do={words}",
            *([f"--part={part}"] if part else []),
        ],
        "env": [*env, *_identity(env), *_memory_limit(options.memory_limit)],
        "resources": {"requests": requests, **({"limits": limits} if limits else {})},
    }


def _identity(env: Sequence[Json]) -> list[Json]:
    """Tells the Job who it is, for the record of who takes locks, where the template does not."""
    known = {one.get("name") for one in env if isinstance(one, dict)}
    return [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in _IDENTITY if name not in known
    ]


def _memory_limit(limit: str) -> list[Json]:
    """Tells restic's runtime to collect its garbage before the kernel ends the container."""
    if not limit:
        return []
    for_restic = int(parse_quantity(limit) * 0.9) - 96 * MIB
    return [{"name": "GOMEMLIMIT", "value": f"{max(for_restic, 64 * MIB) // MIB}MiB"}]


def _quantities(cpu: str, memory: str) -> JsonObject:
    return {**({"cpu": cpu} if cpu else {}), **({"memory": memory} if memory else {})}


def _owner(repository: ResticRepository) -> JsonObject:
    return {
        "apiVersion": API_VERSION,
        "kind": "ResticRepository",
        "name": repository.metadata.name,
        "uid": repository.metadata.uid,
        "controller": True,
    }


def _object(holder: JsonObject, name: str) -> JsonObject:
    found = holder.get(name)
    return found if isinstance(found, dict) else {}

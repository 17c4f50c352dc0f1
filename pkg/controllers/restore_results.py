"""Where a restore's results and log go: into the bucket, or into a ConfigMap where the bucket must not be written to.

A server that only restores, or whose credentials may only read, keeps the results and the end of the log beside the
Restore, which owns them; so describe and logs tell the same in either case.
"""

from __future__ import annotations

import base64

import structlog

from pkg.apis.ark import Restore
from pkg.apis.meta import JsonObject
from pkg.apis.names import API_VERSION, RESTORE_NAME_LABEL
from pkg.kube.client import Client
from pkg.kube.errors import KubeError
from pkg.kube.refs import CONFIG_MAPS
from pkg.objectstore.errors import CredentialsRefusedError, StoreReadOnlyError
from pkg.objectstore.store import ObjectStore
from pkg.restore.bounded import bounded_log, bounded_results
from pkg.restore.errors import ResultsNotKeptError
from pkg.restore.results_map import LOG_KEY, RESULTS_KEY
from pkg.volumes.naming import label_value, restore_volume_name

FIELD_MANAGER = "ark-restore-results"

log = structlog.get_logger()


class ResultsSink:
    """Takes the files of one restore; `config_map` names the one they are in, empty while they are in the bucket."""

    def __init__(self, client: Client, restore: Restore, store: ObjectStore) -> None:
        self._client = client
        self._restore = restore
        self._store = store
        self._kept: JsonObject = {}
        self.config_map = ""

    def publish(self, key: str, data: bytes) -> None:
        """Keeps a file.

        Raises:
            StoreError: the bucket did not take it, for another reason than that it must not be written to.
            ResultsNotKeptError: nor could the ConfigMap be written.
        """
        try:
            self._store.put(key, data)
        except (StoreReadOnlyError, CredentialsRefusedError) as error:
            log.info("Kept in a ConfigMap", restore=self._restore.metadata.key, file=key, why=str(error))
            self._keep(key, data)

    def _keep(self, key: str, data: bytes) -> None:
        is_log = key.endswith("-logs.gz")
        small = bounded_log(data) if is_log else bounded_results(data)
        self._kept[LOG_KEY if is_log else RESULTS_KEY] = base64.b64encode(small).decode()
        meta = self._restore.metadata
        name = restore_volume_name(meta.uid, "", "results", restore_name=meta.name)
        try:
            self._client.apply(CONFIG_MAPS, meta.namespace, name, self._object(name), field_manager=FIELD_MANAGER)
        except KubeError as error:
            raise ResultsNotKeptError(f"ConfigMap {name}: {error}") from error
        self.config_map = name

    def _object(self, name: str) -> JsonObject:
        meta = self._restore.metadata
        owner: JsonObject = {"apiVersion": API_VERSION, "kind": "Restore", "name": meta.name, "uid": meta.uid}
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "namespace": meta.namespace,
                "labels": {RESTORE_NAME_LABEL: label_value(meta.name)},
                "ownerReferences": [owner],
            },
            "binaryData": {**self._kept},
        }

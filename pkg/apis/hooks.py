"""Commands in an application's containers, around its backup and after its restore, as Backup and Restore name them."""

from __future__ import annotations

from pkg.apis.meta import ApiStruct, LabelSelector


class ExecHook(ApiStruct, frozen=True, kw_only=True):
    """A command in a container."""

    container: str = ""
    command: tuple[str, ...] | None = None
    on_error: str = ""
    timeout: str = ""


class BackupResourceHook(ApiStruct, frozen=True, kw_only=True):
    """One hook."""

    exec: ExecHook | None = None


class BackupResourceHookSpec(ApiStruct, frozen=True, kw_only=True):
    """Hooks for the pods that match."""

    name: str = ""
    included_namespaces: tuple[str, ...] | None = None
    excluded_namespaces: tuple[str, ...] | None = None
    included_resources: tuple[str, ...] | None = None
    excluded_resources: tuple[str, ...] | None = None
    label_selector: LabelSelector | None = None
    hooks: tuple[BackupResourceHook, ...] | None = None
    pre: tuple[BackupResourceHook, ...] | None = None
    post: tuple[BackupResourceHook, ...] | None = None


class BackupHooks(ApiStruct, frozen=True, kw_only=True):
    """Hooks of a backup."""

    resources: tuple[BackupResourceHookSpec, ...] | None = None


class RestoreExecHook(ExecHook, frozen=True, kw_only=True):
    """A command in a restored container; `wait_timeout` is how long the container may take to be ready."""

    wait_timeout: str = ""


class RestoreResourceHook(ApiStruct, frozen=True, kw_only=True):
    """One hook."""

    exec: RestoreExecHook | None = None


class RestoreResourceHookSpec(ApiStruct, frozen=True, kw_only=True):
    """Hooks for the restored pods that match."""

    name: str = ""
    included_namespaces: tuple[str, ...] | None = None
    excluded_namespaces: tuple[str, ...] | None = None
    label_selector: LabelSelector | None = None
    post_hooks: tuple[RestoreResourceHook, ...] | None = None


class RestoreHooks(ApiStruct, frozen=True, kw_only=True):
    """Hooks of a restore."""

    resources: tuple[RestoreResourceHookSpec, ...] | None = None

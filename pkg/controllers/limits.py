"""What limits the work on volumes, and whose word counts: a node's label, a rule, the ConfigMap, or a flag."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from pkg.apis.label_selector import matches
from pkg.apis.meta import LabelSelector, LabelSelectorRequirement
from pkg.controllers.admission import PER_REPOSITORY, WHOLE_CLUSTER


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLimits:
    """What holds on one node.

    Attributes:
        upload_kib: KiB/s of all backups of the node together; 0 for no limit.
        download_kib: KiB/s of all restores of the node together; 0 for no limit.
    """

    backup_slots: int
    restore_slots: int
    upload_kib: int = 0
    download_kib: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLimits:
    """How many captures exist at once that have no result yet."""

    per_repository: int
    whole_cluster: int


DEFAULT_LIMITS = ClusterLimits(per_repository=PER_REPOSITORY, whole_cluster=WHOLE_CLUSTER)


class RuleSelector(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A label selector in which a misspelt field is refused, for without it more nodes would match."""

    match_labels: dict[str, str] | None = None
    match_expressions: tuple[LabelSelectorRequirement, ...] | None = None


class NodeRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What holds on the nodes that a selector matches; a value that is absent is not changed."""

    node_selector: RuleSelector = msgspec.field(name="nodeSelector")
    backup_slots: int | None = msgspec.field(default=None, name="backupSlots")
    restore_slots: int | None = msgspec.field(default=None, name="restoreSlots")
    upload_kib: int | None = msgspec.field(default=None, name="limitUploadKiB")
    download_kib: int | None = msgspec.field(default=None, name="limitDownloadKiB")

    @property
    def selector(self) -> LabelSelector:
        """The nodes that it is about."""
        wanted = self.node_selector
        return LabelSelector(match_labels=wanted.match_labels, match_expressions=wanted.match_expressions)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """What the ConfigMap says; None for what it does not say."""

    backup_slots: int | None = None
    restore_slots: int | None = None
    per_repository: int | None = None
    whole_cluster: int | None = None
    upload_kib: int | None = None
    download_kib: int | None = None
    rules: tuple[NodeRule, ...] = ()


def node_limits(flags: NodeLimits, config: LimitsConfig, labels: Mapping[str, str] | None) -> NodeLimits:
    """What holds on a node with these labels: rules before the ConfigMap's other keys, and those before the flags.

    Of several rules that match the smallest value counts; for a bandwidth 0 is the largest.
    """
    rules = [rule for rule in config.rules if matches(rule.selector, labels)]
    return NodeLimits(
        backup_slots=_first(_least(rule.backup_slots for rule in rules), config.backup_slots, flags.backup_slots),
        restore_slots=_first(_least(rule.restore_slots for rule in rules), config.restore_slots, flags.restore_slots),
        upload_kib=_first(_slowest(rule.upload_kib for rule in rules), config.upload_kib, flags.upload_kib),
        download_kib=_first(_slowest(rule.download_kib for rule in rules), config.download_kib, flags.download_kib),
    )


def cluster_limits(flags: ClusterLimits, config: LimitsConfig) -> ClusterLimits:
    """What holds in the cluster: the ConfigMap before the flags."""
    return ClusterLimits(
        per_repository=_first(config.per_repository, flags.per_repository),
        whole_cluster=_first(config.whole_cluster, flags.whole_cluster),
    )


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _least(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _slowest(values: Iterable[int | None]) -> int | None:
    given = [value for value in values if value is not None]
    return min(given, key=lambda value: value or math.inf, default=None)

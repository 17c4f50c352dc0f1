"""What can go wrong with the object store; no obstore, msgspec or OS exception passes this package.

StoreError
├── LocationInvalidError            the Config's storage provider cannot be used as it stands
├── CredentialsInvalidError         the credentials file or variables are missing or malformed
├── CredentialsRefusedError         the store knows these credentials not, or they may not do this
├── BucketMissingError              the endpoint answers, the bucket (container, directory) is not there
├── StoreUnreachableError           no answer in time, or an answer that says "not now"
├── ObjectNotFoundError             the bucket is there, the key is not
├── ObjectInvalidError              the object is there and does not decode
├── PreconditionFailedError         somebody else's object is under the key
├── ConditionalPutUnsupportedError  the store cannot compare and set
└── StoreReadOnlyError              this installation only restores from here
"""

from __future__ import annotations

from pkg.apis.reasons import Reason


class StoreError(Exception):
    """Anything about the object store; the message is one sentence that names bucket and endpoint."""

    reason: Reason = Reason.INTERNAL


class LocationInvalidError(StoreError):
    """The storage location cannot be used as it is configured."""

    reason = Reason.CONFIG_INVALID


class CredentialsInvalidError(StoreError):
    """There are no credentials to try, or they cannot be read."""

    reason = Reason.CREDENTIALS_REFUSED


class CredentialsRefusedError(StoreError):
    """The store refuses the credentials."""

    reason = Reason.CREDENTIALS_REFUSED


class BucketMissingError(StoreError):
    """There is no such bucket."""

    reason = Reason.BUCKET_MISSING


class StoreUnreachableError(StoreError):
    """The store does not answer, or only that it cannot."""

    reason = Reason.BACKEND_UNREACHABLE


class ObjectNotFoundError(StoreError):
    """There is no object under the key."""


class ObjectInvalidError(StoreError):
    """The object under the key is not what it should be."""

    reason = Reason.BACKUP_DAMAGED


class PreconditionFailedError(StoreError):
    """The object exists (`if_none_match`) or is not the one that was read (`if_match`)."""


class ConditionalPutUnsupportedError(StoreError):
    """The store has no conditional put of this kind."""

    reason = Reason.CONFIG_INVALID


class StoreReadOnlyError(StoreError):
    """This process decided to write nothing here."""

    reason = Reason.RESTORE_ONLY

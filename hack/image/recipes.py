"""What each image is made of, and the key that says whether it has to be made again.

Every function returns the archive of one image, which containerd can import, and makes it only if no archive with its
key exists. The key covers content, not time stamps: an unchanged tree does nothing.
"""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from hack import toolchain_cli
from hack.image import buildah, debian, wheels
from hack.image.cache import archive_of, forget_killed_runs, forget_old_archives, key_of
from hack.image.pause_binary import pause_binary
from hack.image.wheels import REPOSITORY

DOCKERFILE = REPOSITORY / "Dockerfile"
PAUSE_IMAGE = "localhost/ark-pause:1"
BASE_IMAGE = debian.IMAGE
MINIO_DOCKERFILE = 'ARG BASE\nFROM ${BASE}\nCOPY minio /usr/bin/minio\nENTRYPOINT ["/usr/bin/minio"]\n'
MANIFESTS = (REPOSITORY / "config" / "common", REPOSITORY / "config" / "minio")
PAUSE_DOCKERFILE = 'FROM scratch\nCOPY pause /pause\nUSER 65535:65535\nENTRYPOINT ["/pause"]\n'


def base() -> Path:
    """The base image: Debian with Python; also the demo's application image."""
    archive = archive_of("base", debian.key())
    if not archive.exists():
        buildah.save(debian.ensure(), archive, name=BASE_IMAGE)
    return archive


def pause() -> Path:
    """The image of pod sandboxes."""
    binary = pause_binary()
    return _single_binary("pause", binary, PAUSE_IMAGE, PAUSE_DOCKERFILE, with_base=False)


def minio() -> Path:
    """MinIO under the name that config/minio uses, built from the toolchain's program."""
    image = _named_by_manifests("minio/minio")
    return _single_binary("minio", toolchain_cli.path("minio"), image, MINIO_DOCKERFILE, with_base=True)


def _named_by_manifests(repository: str) -> str:
    """Return the full name of an image that the manifests call `<repository>:<tag>`, so that they run as shipped."""
    text = "".join(path.read_text() for directory in MANIFESTS for path in sorted(directory.glob("*.yaml")))
    tags = set(re.findall(rf"image: {re.escape(repository)}:(\S+)", text))
    if len(tags) != 1:
        raise buildah.ImageError(f"config/ should name one image {repository}, it names {sorted(tags)}")
    return f"docker.io/{repository}:{tags.pop()}"


def _single_binary(name: str, binary: Path, image: str, dockerfile: str, *, with_base: bool) -> Path:
    archive = archive_of(name, key_of((image, dockerfile, str(binary), debian.key() if with_base else "")))
    if not archive.exists():
        arguments = {"BASE": debian.ensure()} if with_base else {}
        with buildah.scratch() as scratch:
            context = Path(scratch)
            _link(binary, context / name)
            (context / "Dockerfile").write_text(dockerfile)
            buildah.build(image, context=context, dockerfile=context / "Dockerfile", arguments=arguments)
        buildah.save(image, archive)
        forget_old_archives(name)
    return archive


def ark() -> Path:
    """The product's image."""
    with buildah.scratch() as scratch:
        own = wheels.own(Path(scratch) / "own")
        image = _named_by_manifests("ark/ark")
        parts = (image, _dependencies_key(), own.name, own.read_bytes())
        archive = archive_of("ark", key_of(parts))
        if not archive.exists():
            context = stage(Path(scratch) / "context", own)
            _build_ark(image, context)
            buildah.save(image, archive)
            buildah.prune()
            forget_old_archives("ark")
    return archive


def _build_ark(image: str, context: Path) -> None:
    # The dependencies get a name of their own, so that pruning never drops them: a change of our source alone is quick.
    arguments = {"BASE": debian.ensure()}
    dependencies = f"localhost/ark-dependencies:{_dependencies_key()}"
    if not buildah.exists(dependencies):
        buildah.build(dependencies, context=context, dockerfile=DOCKERFILE, arguments=arguments, target="dependencies")
    buildah.build(image, context=context, dockerfile=DOCKERFILE, arguments=arguments)


def _dependencies_key() -> str:
    restic = str(toolchain_cli.path("restic"))
    return key_of((debian.key(), DOCKERFILE.read_bytes(), wheels.dependencies_key(), restic))


def stage(directory: Path, own_wheel: Path | None = None) -> Path:
    """Put what the Dockerfile copies into `<directory>/build` and return the directory."""
    build = directory / "build"
    for name in ("wheels", "ark"):
        shutil.rmtree(build / name, ignore_errors=True)
    (build / "ark").mkdir(parents=True)
    shutil.copytree(wheels.dependencies(), build / "wheels", copy_function=_link)
    if own_wheel is None:
        wheels.own(build / "ark")
    else:
        shutil.copy2(own_wheel, build / "ark")
    shutil.copy2(wheels.LOCK, build / "requirements.txt")
    _link(toolchain_cli.path("restic"), build / "restic")
    return directory


def _link(source: str | Path, target: str | Path) -> None:
    """Hard-link a file, or copy it where that is not possible."""
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


RECIPES: dict[str, Callable[[], Path]] = {"pause": pause, "base": base, "minio": minio, "ark": ark}


def make(names: list[str]) -> list[Path]:
    """Make the named images and return their archives, in that order."""
    if os.geteuid() != 0:
        raise buildah.ImageError("images are built as root (debootstrap and buildah in chroot isolation)")
    forget_killed_runs()
    return [RECIPES[name]() for name in names]

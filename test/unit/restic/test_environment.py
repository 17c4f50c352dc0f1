import pytest

from pkg.restic.environment import ResticEnvironment
from pkg.restic.password import Password, generate_password

CLOUD = {"AWS_ACCESS_KEY_ID": "the-key-id", "AWS_SECRET_ACCESS_KEY": "the-secret", "GOOGLE_PROJECT_ID": "p"}


def environment(key_hint: str = "") -> ResticEnvironment:
    return ResticEnvironment(
        repository="s3:x/y", password=Password("pass-word"), cloud=CLOUD, cache_dir="/cache", key_hint=key_hint
    )


def test_only_what_is_allowed_reaches_restic() -> None:
    base = {
        "PATH": "/bin",
        "https_proxy": "http://proxy",
        "GOMEMLIMIT": "1GiB",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/token",
        "AWS_PROFILE": "stray",
        "AWS_SHARED_CREDENTIALS_FILE": "/credentials/cloud",
        "RESTIC_PASSWORD_FILE": "/stray",
        "RESTIC_FEATURES": "stray",
        "LD_PRELOAD": "stray",
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
    }
    assert environment().variables(base) == {
        "PATH": "/bin",
        "https_proxy": "http://proxy",
        "GOMEMLIMIT": "1GiB",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/token",
        **CLOUD,
        "RESTIC_REPOSITORY": "s3:x/y",
        "RESTIC_PASSWORD": "pass-word",
        "RESTIC_CACHE_DIR": "/cache",
        "RESTIC_PROGRESS_FPS": "2",
    }


def test_a_key_hint_is_passed_on() -> None:
    assert environment(key_hint="abc").variables({})["RESTIC_KEY_HINT"] == "abc"


def test_no_repr_shows_a_secret() -> None:
    shown = f"{environment()!r} {environment()} {Password('pass-word')!r} {Password('pass-word')}"
    assert "pass-word" not in shown
    assert "the-secret" not in shown


def test_text_is_redacted_and_what_is_no_secret_stays() -> None:
    text = environment().redacted("p pass-word the-secret the-key-id")
    assert text == "p *** *** ***"


def test_passwords_are_random_and_long() -> None:
    made = {generate_password() for _ in range(50)}
    assert len(made) == 50
    assert all(len(password) >= 43 for password in made)


def test_an_empty_password_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        Password("")

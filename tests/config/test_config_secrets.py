"""Secrets: by reference, in the right form, and never shown."""

from __future__ import annotations

import pytest
from config_folder import PARTNER, Folder

from gateway.settings import Secret

START = PARTNER.split("registration")[0]


def them(folder: Folder, token: str) -> Folder:
    """A partner that registers with us, with this ``token_in`` (at column 39 of line 3)."""
    return folder.partner(text=f"{START}registration: {{start: them, token_in: {token}}}\n")


def tokens(folder: Folder) -> list[str]:
    return [secret.value for secret in folder.load().partners[0].registration.token_in]


def test_a_secret_comes_from_the_environment_a_file_or_the_configuration(folder: Folder) -> None:
    """env, file (relative to the folder, trailing line break removed), and a literal; one, or a list."""
    folder.write("secrets/acme", "from-a-file\n")
    assert tokens(them(folder, "{env: TOKEN_A}")) == ["token-a"]
    assert tokens(them(folder, "{file: secrets/acme}")) == ["from-a-file"]
    assert tokens(them(folder, f"{{file: {folder.path}/secrets/acme}}")) == ["from-a-file"]
    assert tokens(them(folder, "{value: literal}")) == ["literal"]
    assert tokens(them(folder, "[{env: TOKEN_A}, {value: literal}]")) == ["token-a", "literal"]


def test_a_path_may_name_a_variable(folder: Folder) -> None:
    """Where a service manager says where its secrets lie."""
    folder.environ["CREDENTIALS_DIRECTORY"] = "secrets"
    folder.write("secrets/acme", "from-a-file")
    assert tokens(them(folder, "{file: '${CREDENTIALS_DIRECTORY}/acme'}")) == ["from-a-file"]


@pytest.mark.parametrize(
    ("token", "column", "expected"),
    [
        ("{env: NOWHERE}", 45, "the environment variable NOWHERE isn't set"),
        ("{env: EMPTY}", 45, "the environment variable EMPTY is empty"),
        ("{env: s3cr3t-token}", 45, "not the name of an environment variable"),
        ("{env: [TOKEN_A]}", 45, "one value goes here"),
        ("{file: nowhere}", 46, "the file `nowhere` can't be read"),
        ("{file: empty}", 46, "the file `empty` is empty"),
        ("{file: binary}", 46, "the file `binary` is empty, or holds more than one secret"),
        ("{file: '${NOWHERE}/x'}", 46, "the environment variable NOWHERE isn't set"),
        ("{value: ''}", 47, "the secret is empty"),
        ("{value: s3cr3t token}", 39, "a token has printable ASCII characters only"),
        ("{value: s3cr3tñ}", 39, "a token has printable ASCII characters only"),
        ("{value: " + "s3cr3t" * 11 + "}", 39, "a token has at most 64 characters, this one has 66"),
        ("s3cr3t", 39, "a secret is a reference: write {env: NAME} or {file: PATH}"),
        ("{}", 39, "a secret is a reference"),
        ("{vault: s3cr3t}", 39, "a secret is a reference"),
        ("{env: TOKEN_A, value: s3cr3t}", 39, "a secret is a reference"),
        ("[]", None, "`start: them` needs `token_in`"),
        ("[{value: s3cr3t}, {value: s3cr3t}]", 57, "the same item twice"),
    ],
)
def test_a_wrong_secret_is_a_mistake_that_doesnt_show_it(
    folder: Folder, token: str, column: int | None, expected: str
) -> None:
    """At the place of the reference, and without the secret, or what might be one."""
    folder.environ["EMPTY"] = ""
    folder.write("empty", "\n").write("binary", b"\xff\xfe")
    mistake = them(folder, token).mistake()
    assert mistake.startswith(f"partners/acme.yaml:3:{column or 15}: {expected}")
    assert "s3cr3t" not in mistake


def test_strict_refuses_what_is_written_out(folder: Folder) -> None:
    """A literal is a mistake under --strict, and so is a password in a Redis URL; a variable in it is fine."""
    folder.environ["PASSWORD"] = "pw"
    assert them(folder, "{value: s3cr3t}").mistakes() == []
    assert folder.mistake(strict=True).startswith("partners/acme.yaml:3:40: a literal secret: write {env: NAME}")
    folder.partner().gateway("redis: {url: 'redis://:s3cr3t@redis:6379'}\n")
    assert folder.mistakes() == []
    assert folder.mistake(strict=True).startswith("gateway.yaml:9:14: a literal password")
    folder.gateway("redis: {url: 'redis://:${PASSWORD}@redis:6379'}\n")
    assert folder.mistakes(strict=True) == []
    folder.gateway("redis: {url: {env: REDIS_URL}}\n").environ["REDIS_URL"] = "rediss://:pw@redis"
    url = folder.load(strict=True).redis.url
    assert url is not None
    assert url.value == "rediss://:pw@redis"


def test_no_secret_is_in_any_text_of_the_settings(folder: Folder) -> None:
    """Neither repr nor str of anything shows one; they show where it came from."""
    folder.gateway("redis: {url: 'redis://:s3cr3t@redis'}\nadmin: {token: {value: s3cr3t-admin}}\n")
    settings = them(folder, "[{value: s3cr3t}, {env: TOKEN_A}]").load()
    shown = f"{settings!r} {settings} {[str(token) for token in settings.links[-1].registration.token_in]}"
    assert not any(secret in shown for secret in ("s3cr3t", "token-a", "core-in", "core-out"))
    assert "env TOKEN_A" in shown


def test_secrets_are_equal_by_value() -> None:
    """Moving a secret from the environment into a file changes nothing."""
    assert Secret("a", "env A") == Secret("a", "file b")
    assert Secret("a") != Secret("b")

"""Object stores on this machine: S3 by moto's server, Google's by one of ours."""

from __future__ import annotations

import gc
import itertools
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import fsspec
import gcs_server
import pytest
from engine_helpers import timeless

from pipeline.storage.paths import resolve_path, store

numbers = itertools.count()


@contextmanager
def s3() -> Iterator[None]:
    """Serve S3, for this process and those that it starts."""
    from moto.s3.responses import S3Response
    from moto.server import ThreadedMotoServer

    put_object, one_at_a_time = S3Response.put_object, threading.Lock()

    def atomically(self: Any, *arguments: Any, **options: Any) -> Any:
        """As S3 does, and as moto's threads, which look first and write then, do not."""
        with one_at_a_time:
            return put_object(self, *arguments, **options)

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3Response, "put_object", atomically)
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        forkserver._forkserver._stop()  # loader workers get the environment that their server started with
        yield
    forkserver._forkserver._stop()
    server.stop()
    forget("s3")


@contextmanager
def google() -> Iterator[None]:
    """Serve Google's store, likewise."""
    with pytest.MonkeyPatch.context() as patch, gcs_server.serving() as address:
        patch.setenv("STORAGE_EMULATOR_HOST", address)
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # it asks another service, over gRPC
        patch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
        yield
    forget("gs")


def forget(protocol: str) -> None:
    """Close connections that are still open here, not in a later test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        fsspec.get_filesystem_class(protocol).clear_instance_cache()
        gc.collect()


def new_bucket(protocol: str) -> Path:
    """Return an empty bucket."""
    root = resolve_path(f"{protocol}://bucket-{next(numbers)}")
    if protocol == "s3":
        store(root)[0].mkdir(store(root)[1])
    return root


def stored(root: Path) -> dict[str, bytes]:
    """Return what `engine_helpers.content` says of a local folder, of one in the store."""
    fs, path = store(root)
    found = fs.find(path)
    objects = fs.cat(found) if found else {}
    names = {name.removeprefix(path + "/"): raw for name, raw in objects.items()}
    return {
        name: timeless(raw) if name.endswith(".json") else raw
        for name, raw in names.items()
        if not name.startswith(".lock")
    }


def put(place: Path, content: bytes) -> None:
    """Write an object, whatever lies there."""
    fs, name = store(place)
    fs.pipe_file(name, content)

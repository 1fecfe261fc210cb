"""Corpora and OUT in an object store: moto's server, which speaks S3 over HTTP, on this machine."""

from __future__ import annotations

import contextlib
import os
import posixpath
import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from engine_helpers import CLIPS, build_corpus, content, make, settings_for
from segment_helpers import record, segments
from store_helpers import google, new_bucket, s3, stored
from test_plan_files import clip_of, parquets, tars

from pipeline.__main__ import main
from pipeline.audio import remote_source
from pipeline.audio.remote_source import Cache, RemoteSource
from pipeline.build import planning_pool, reading
from pipeline.build.create import create
from pipeline.build.ranks import create_rank
from pipeline.config import CorpusSettings
from pipeline.corpus import lines, open_corpus
from pipeline.corpus.listing import right_in, walk
from pipeline.dataset.reader import Dataset
from pipeline.dataset.summary import all_faults
from pipeline.errors import MissingPackage, PipelineError, UsageError
from pipeline.storage.claims import Rank, claimed
from pipeline.storage.files import replacing, write_text
from pipeline.storage.paths import contents, local, objects, resolve_path, store

pytest.importorskip("s3fs", reason="the extra `s3` is not installed")
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:botocore", "ignore::ResourceWarning"
)  # aiohttp's connections to the server are closed with the process
KILLS = 3


@pytest.fixture(scope="module")
def server():
    with s3():
        yield


@pytest.fixture(scope="module")
def google_server():
    with google():
        yield


@pytest.fixture
def bucket(server) -> Path:
    return new_bucket("s3")


@pytest.fixture
def corpus(tmp_path, make_clip):
    return build_corpus(tmp_path, make_clip)


def upload(folder: Path, to: Path) -> None:
    fs, path = store(to)
    for file in folder.rglob("*"):
        if file.is_file():
            fs.put_file(str(file), f"{path}/{file.relative_to(folder).as_posix()}")


@pytest.mark.parametrize("form", ["jsonl", "arrow", "parquet"])
def test_out_in_a_store_holds_the_bytes_of_one_on_disk(tmp_path, bucket, corpus, form):
    settings = settings_for(corpus, **{"output.format": form})
    here = make(tmp_path / "here/out", settings)
    there = make(bucket / "deep/out", settings)
    assert stored(there) == content(here)
    dataset = Dataset(str(there))
    assert [t.to_pylist() for t in dataset.tables()] == [t.to_pylist() for t in Dataset(here).tables()]
    assert list(dataset.rejections()) == list(Dataset(here).rejections())
    assert list(all_faults(dataset, dataset.root)) == []
    assert dataset.table(0, ["id"]).column_names == ["id"]


def test_guarantee_3_killed_while_writing_to_a_store_and_run_again(tmp_path, bucket, corpus):
    there, script = bucket / "out", tmp_path / "run.py"
    script.write_text(RUN.format(tests=str(Path(__file__).parent), corpus=corpus, out=str(there)))
    for kill in range(KILLS):
        run = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
        assert run.stdout is not None
        for _ in range(1 + 5 * kill):  # uploads that it announces
            run.stdout.readline()
        run.send_signal(signal.SIGKILL)
        run.wait()
        run.stdout.close()
        store(there)[0].rm_file(store(there / ".lock")[1])  # rather than wait until it is void
    make(there, settings_for(corpus))
    assert stored(there) == content(make(tmp_path / "here/out", settings_for(corpus)))


RUN = """
import sys
sys.path.insert(0, {tests!r})
from engine_helpers import make, settings_for
from pipeline.storage import files
from pipeline.storage import paths

upload = files.upload

def announced(file, target):
    print(target, flush=True)
    upload(file, target)

files.upload = announced
make(paths.resolve_path({out!r}), settings_for({corpus!r}))
print("finished", flush=True)
"""


def test_guarantee_4_a_finished_dataset_is_left_alone_and_a_changed_object_redone(
    tmp_path, bucket, corpus, make_clip, monkeypatch
):
    upload(tmp_path / "audio", bucket / "audio")
    remote_corpus = {**corpus, "corpus.audio": str(bucket / "audio"), "corpus.cache": str(tmp_path / "cache")}
    settings = settings_for(remote_corpus)
    there = make(bucket / "out", settings)
    before = stored(there)
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.codec.load_codec", None)
        make(there, settings)
    assert stored(there) == before
    upload(make_clip("new/u07.wav", seconds=1.0).parent, bucket / "audio")
    make(there, settings)
    changed = {name for name, raw in stored(there).items() if name.startswith("data") and before[name] != raw}
    assert changed == {"data/train-00001.jsonl"}


def test_to_confirm_a_finished_dataset_each_listing_is_asked_for_once_and_each_part_of_the_plan(
    bucket, corpus, monkeypatch
):
    from moto.server import DomainDispatcherApplication

    settings = settings_for(corpus, **{"output.shard_size": 2})
    root = make(bucket / "out", settings)
    asked, answer = list[tuple[str, str, str]](), DomainDispatcherApplication.__call__

    def noted(application, environ, respond):
        query = dict(parse_qsl(environ["QUERY_STRING"]))
        asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], query.get("prefix", "")))
        return answer(application, environ, respond)

    monkeypatch.setattr(DomainDispatcherApplication, "__call__", noted)
    make(root, settings)
    for folder in ("state", "data", "rejected"):
        assert [prefix for _, _, prefix in asked].count(f"out/{folder}/") == 1, folder
    parts = Counter(path for method, path, _ in asked if method == "HEAD" and "/manifest/part-" in path)
    assert len(parts) > 2
    assert set(parts.values()) == {1}


def test_a_corpus_in_a_store_gives_the_rows_of_the_same_on_disk(tmp_path, bucket, corpus):
    upload(tmp_path / "audio", bucket / "audio")
    (bucket / "text.txt").write_text((tmp_path / "text.txt").read_text())
    urls = {"corpus.audio": f"{bucket / 'audio'}/", "corpus.text": str(bucket / "text.txt")}
    settings = settings_for({**urls, "corpus.cache": str(tmp_path / "cache")}, **{"load.num_workers": 2})
    there = Dataset(make(tmp_path / "there", settings))
    here = Dataset(make(tmp_path / "here", settings_for(corpus)))
    assert [t.to_pylist() for t in there.tables()] == [t.to_pylist() for t in here.tables()]
    reasons = [[(r["id"], r["reason"]) for r in each.rejections()] for each in (there, here)]
    assert reasons[0] == reasons[1]
    assert len(reasons[0]) == 2


FOUND = ["a b/5.wav", "a/1.wav", "a/2.WAV", "a/b/3.wav", "top.wav"]


@pytest.mark.parametrize(("protocol", "page"), [("s3", "MaxKeys"), ("gs", "maxResults"), ("memory", None)])
def test_a_listing_is_the_same_in_every_store_and_read_page_by_page_where_there_are_pages(
    server, google_server, monkeypatch, protocol, page
):
    root = new_bucket(protocol) / "corpus"
    fs, path = store(root)
    for name in [*FOUND, "a/note.txt", "a/.hidden.wav", ".git/4.wav", "../corpus2/6.wav"]:
        fs.pipe_file(posixpath.normpath(f"{path}/{name}"), name.encode())
    if page is not None:
        asked, call = [], "call_s3" if protocol == "s3" else "call"
        ask = getattr(fs, call)

        def two_at_a_time(*arguments, **more):
            asked.append(arguments)
            return ask(*arguments, **more, **{page: 2})

        monkeypatch.setattr(fs, call, two_at_a_time)
        assert next(objects(root))[0]
        assert len(asked) == 1
    assert sorted(walk(root, [".wav"])) == FOUND
    assert next(walk(root, [".wav"])) == "top.wav"
    assert sorted(right_in(root, "a", [".wav"])) == ["a/1.wav", "a/2.WAV"]
    assert sorted(right_in(root, "", [".wav"])) == ["top.wav"]
    assert list(right_in(root, "gone", [".wav"])) == []
    source = RemoteSource(str(root), Cache(Path("unused"), 1))
    for name in FOUND:
        assert source.stat(name) == source._look_up(name)
        assert source.stat(name)[0] == len(name)
    with pytest.raises(FileNotFoundError):
        source.stat("a/gone.wav")


def test_texts_beside_their_audio_are_read_many_at_a_time_and_in_order(
    tmp_path, bucket, make_clip, monkeypatch
):
    for number in range(12):
        clip = make_clip(f"{number:02d}.wav")
        clip.with_suffix(".txt").write_text(f"text {number}")
    upload(clip.parent, bucket / "corpus")
    corpus = open_corpus(CorpusSettings(audio=str(bucket / "corpus")))
    read, together = lines.read_content, threading.Barrier(6)

    def waits_for_others(path):
        together.wait(timeout=60)
        return read(path)

    monkeypatch.setattr(lines, "read_content", waits_for_others)
    assert [(each.id, each.text) for each in corpus.utterances()] == [
        (f"{n:02d}", f"text {n}") for n in range(12)
    ]


@pytest.mark.parametrize(("form", "processes"), [(tars, 2), (parquets, 1)])
def test_a_tar_or_parquet_file_is_fetched_once_to_plan_and_to_encode_it_by_all_processes(
    tmp_path, bucket, make_clip, monkeypatch, form, processes
):
    form(tmp_path, clip_of(tmp_path, make_clip))(5)
    upload(tmp_path / "audio", bucket / "set")
    from moto.s3.responses import S3Response

    fetched: list[tuple[str, int]] = []
    get_object = S3Response.get_object

    def counted(self, *arguments, **options):
        answer = get_object(self, *arguments, **options)
        fetched.append((self.path.rpartition("/")[2], len(answer[2])))
        return answer

    monkeypatch.setattr(S3Response, "get_object", counted)
    monkeypatch.setattr(planning_pool, "cores", lambda: processes)
    monkeypatch.setattr(reading, "ALONE", 2)
    local = {"corpus.audio": str(tmp_path / "audio")}
    remote = {"corpus.audio": str(bucket / "set"), "corpus.cache": str(tmp_path / "cache")}
    there = make(tmp_path / "there", settings_for(remote, **{"load.num_workers": processes - 1}))
    here = make(tmp_path / "here", settings_for(local))
    assert sorted(fetched) == sorted((p.name, p.stat().st_size) for p in (tmp_path / "audio").iterdir())
    assert [t.to_pylist() for t in Dataset(there).tables()] == [t.to_pylist() for t in Dataset(here).tables()]


def test_the_cache_stays_within_its_size_and_drops_what_was_not_used_for_longest(tmp_path):
    cache = Cache(tmp_path, 100_000)
    fetches: list[str] = []

    def fetch(name: str) -> bytes:
        def write(copy: Path) -> None:
            fetches.append(name)
            copy.write_bytes(name.encode() * 5000)

        with cache.open(name, ".wav", write) as opened:
            return opened.read()

    for number in range(10, 40):
        assert fetch(f"{number}") == f"{number}".encode() * 5000
        assert fetch("10") == b"10" * 5000
        assert sum(path.stat().st_size for path in tmp_path.glob("??/*")) <= 100_000
        for path in tmp_path.glob("??/*"):  # a clock that tells the uses apart
            os.utime(path, ns=(0, path.stat().st_mtime_ns - 10**9))
    assert fetches.count("10") == 1


def test_a_copy_is_readable_though_it_is_evicted_and_fetched_once_by_many(tmp_path):
    cache = Cache(tmp_path, 1)
    fetches: list[Path] = []

    def fetch(copy: Path) -> None:
        fetches.append(copy)
        copy.write_bytes(b"content")

    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: cache.open("a", "", fetch), range(8)))
    assert len(fetches) == 1
    cache.open("b", "", fetch).close()
    for each in opened:
        with each:
            assert each.read() == b"content"


def test_a_store_that_does_not_answer_ends_the_run_and_is_no_fault_of_the_clip(tmp_path, bucket, monkeypatch):
    monkeypatch.setattr(remote_source, "PAUSE", 0.0)
    (bucket / "a.wav").write_bytes(b"x")
    source = RemoteSource(str(bucket).rstrip("/"), Cache(tmp_path, 10**9))
    with pytest.raises(FileNotFoundError):
        source.open("b.wav")
    with pytest.raises(FileNotFoundError):
        source.stat("b.wav")
    fs, _ = store(bucket)

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("SlowDown")

    monkeypatch.setattr(fs, "get_file", refuse)
    with pytest.raises(PipelineError, match="the object store cannot be read: SlowDown"):
        source.open("a.wav")


def test_parts_work_on_an_out_in_a_store(tmp_path, bucket, corpus):
    settings = settings_for(corpus)
    for number in range(2):
        create_rank(bucket / "out", settings, Rank(number, 2), lambda line: None)
    assert stored(bucket / "out") == content(make(tmp_path / "here/out", settings))


def test_an_object_is_complete_or_absent(bucket):
    target = bucket / "a/b.txt"
    with contextlib.suppress(KeyboardInterrupt), replacing(target) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert not target.exists()
    write_text(target, "whole")
    assert contents(bucket / "a", "*.txt") == {"b.txt": b"whole"}
    with local(target) as copy:
        assert copy.read_text() == "whole"
    assert not copy.exists()


def test_an_unknown_store_or_a_missing_package_is_told_in_one_sentence(monkeypatch, tmp_path):
    with pytest.raises(UsageError, match="nonsense"):
        resolve_path("nonsense://x/y")
    monkeypatch.setitem(sys.modules, "upath", None)
    with pytest.raises(MissingPackage, match=r"s3://x/y needs the package .*\[s3\]"):
        resolve_path("s3://x/y")
    assert resolve_path(str(tmp_path)) == tmp_path


def test_max_reject_rate_and_counts_hold_in_a_store(bucket, corpus):
    with claimed(bucket / "out"):
        stats = create(bucket / "out", settings_for(corpus), lambda line: None).stats()
    assert (stats["rows"], stats["rejected"]) == (CLIPS, 2)


def test_the_command_line_takes_urls_for_a_folder_and_for_one_file(tmp_path, bucket, corpus, capsys):
    upload(tmp_path / "audio", bucket / "audio")
    words = ["create", str(bucket / "audio"), corpus["corpus.text"], "--num-workers", "0"]
    words += ["--set", f"corpus.cache={tmp_path / 'cache'}", "--set", "corpus.cache_gb=1"]
    for out in (bucket / "folder", bucket / "one.jsonl"):
        assert main([*words, "-o", str(out)]) == 0
    assert main(["status", str(bucket / "folder"), "--verify"]) == 0
    assert "every file is as it was written" in capsys.readouterr().out
    assert len((bucket / "one.jsonl").read_text().splitlines()) == CLIPS


def test_hugging_face_s_hub_is_a_store_too():
    fs, path = store(resolve_path("hf://datasets/owner/name/data"))
    assert (fs.protocol, path) == ("hf", "datasets/owner/name/data")


def test_a_bucket_that_is_not_there_is_told_in_one_sentence(server, corpus):
    with pytest.raises(UsageError, match=r"s3://nowhere/out/\.lock cannot be reached .* check address"):
        make(resolve_path("s3://nowhere/out"), settings_for(corpus))
    with pytest.raises(UsageError, match="there is no audio folder s3://nowhere/audio"):
        open_corpus(CorpusSettings(audio="s3://nowhere/audio"))


def test_recordings_in_a_store_are_segmented_as_those_on_the_disk_are(tmp_path, bucket, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for name in ("a.flac", "b/two.wav"):
        record(tmp_path / "in" / name, [1, 0])
    upload(tmp_path / "in", bucket)
    for recordings, prepared in ((tmp_path / "in", "here"), (bucket, "there")):
        assert main(["segment", str(recordings), "-o", str(tmp_path / prepared), "--asr", "fake:"]) == 0
    assert segments(tmp_path / "there") == segments(tmp_path / "here") != []

import errno
import json
import os
from dataclasses import replace

import pytest
from corpus_helpers import ListedCorpus

from pipeline.audio.source import FolderSource
from pipeline.build.plan import plan, read_excluded
from pipeline.config import LimitSettings
from pipeline.dataset.manifest import Manifest
from pipeline.errors import UsageError
from pipeline.utterance import Reason, Rejection, Utterance

LIMITS = LimitSettings(min_seconds=0.1, max_seconds=2.0, min_chars=2, max_chars=20)


@pytest.fixture
def corpus(tmp_path, make_clip):
    names = [f"clip{i:02d}" for i in range(10)]
    for name in names:
        make_clip(f"{name}.wav")
    return ListedCorpus(tmp_path / "audio", [Utterance(n, f"{n}.wav", f"text {n}") for n in names])


def planned(corpus, tmp_path, **options):
    return plan(corpus, tmp_path / "manifest", limits=LIMITS, shard_size=4, **options)


def rows(manifest):
    return list(manifest.read_rows())


def test_a_plan_holds_every_utterance_in_order_with_its_header(corpus, tmp_path):
    manifest, summary = planned(corpus, tmp_path)
    assert [row.utterance.id for row in rows(manifest)] == [entry.id for entry in corpus.entries]
    assert {row.duration for row in rows(manifest)} == {0.3}
    assert {row.sample_rate for row in rows(manifest)} == {16000}
    assert [shard.rows for shard in manifest.shards] == [4, 4, 2]
    assert (summary.utterances, summary.new, summary.changed, summary.vanished) == (10, 10, 0, 0)


def test_each_fault_of_text_or_header_has_its_reason(tmp_path, make_clip):
    make_clip("good.wav")
    make_clip("short.wav", seconds=0.05)
    make_clip("long.wav", seconds=2.5)
    (tmp_path / "audio" / "empty.wav").touch()
    (tmp_path / "audio" / "words.wav").write_text("this is not audio at all, it is a text file")
    entries = [
        Utterance("good", "good.wav", "fine"),
        Utterance("good", "good.wav", "again"),
        Utterance("blank", "good.wav", "  "),
        Utterance("brief", "good.wav", "x"),
        Utterance("wordy", "good.wav", "x" * 21),
        Utterance("short", "short.wav", "fine"),
        Utterance("long", "long.wav", "fine"),
        Utterance("empty", "empty.wav", "fine"),
        Utterance("words", "words.wav", "fine"),
        Utterance("gone", "gone.wav", "fine"),
        Utterance("out", "good.wav", "fine"),
        Rejection("line 7", "", Reason.MALFORMED_TRANSCRIPT, "no separator"),
    ]
    manifest, summary = planned(ListedCorpus(tmp_path / "audio", entries), tmp_path, excluded={"out"})
    reasons = [row.reason for row in rows(manifest)]
    assert reasons == [
        None,
        "duplicate_id",
        "empty_text",
        "text_too_short",
        "text_too_long",
        "too_short",
        "too_long",
        "empty_file",
        "not_audio",
        "missing_audio",
        "excluded",
        "malformed_transcript",
    ]
    assert all(row.detail for row in rows(manifest) if row.reason)
    assert sum(summary.reasons.values()) == 11


def test_planning_again_changes_no_byte(corpus, tmp_path):
    planned(corpus, tmp_path)
    before = {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "manifest").iterdir()
    }
    _, summary = planned(corpus, tmp_path)
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "manifest").iterdir()} == before
    assert (summary.new, summary.changed) == (0, 0)


@pytest.mark.parametrize("position", [0, 5, 10])
def test_a_corpus_that_grows_gets_new_shards_and_keeps_the_old_ones(corpus, tmp_path, make_clip, position):
    first, _ = planned(corpus, tmp_path)
    before = [(shard.digest, shard.rows) for shard in first.shards]
    make_clip("new.wav")
    corpus.entries.insert(position, Utterance("new", "new.wav", "new text"))
    second, summary = planned(corpus, tmp_path)
    assert [(shard.digest, shard.rows) for shard in second.shards][:3] == before
    assert [row.utterance.id for row in rows(second)][10:] == ["new"]
    assert (summary.new, summary.changed, summary.vanished) == (1, 0, 0)


def test_a_changed_file_or_text_changes_its_shard_alone(corpus, tmp_path, make_clip):
    first, _ = planned(corpus, tmp_path)
    make_clip("clip05.wav", seconds=0.5)
    corpus.entries[9] = Utterance("clip09", "clip09.wav", "other text")
    second, summary = planned(corpus, tmp_path)
    changed = [a.digest != b.digest for a, b in zip(first.shards, second.shards, strict=True)]
    assert changed == [False, True, True]
    assert rows(second)[5].duration == 0.5
    assert rows(second)[9].utterance.text == "other text"
    assert summary.changed == 2


def test_a_touched_file_counts_as_changed(corpus, tmp_path):
    planned(corpus, tmp_path)
    os.utime(tmp_path / "audio" / "clip03.wav", ns=(1, 1))
    assert planned(corpus, tmp_path)[1].changed == 1


def test_an_utterance_that_vanishes_keeps_its_row(corpus, tmp_path):
    planned(corpus, tmp_path)
    del corpus.entries[3]
    manifest, summary = planned(corpus, tmp_path)
    assert manifest.rows == 10
    assert summary.vanished == 1


def test_audio_that_turns_up_later_is_no_longer_missing(corpus, tmp_path, make_clip):
    corpus.entries.append(Utterance("late", "late.wav", "late text"))
    manifest, _ = planned(corpus, tmp_path)
    assert rows(manifest)[10].reason == "missing_audio"
    make_clip("late.wav")
    manifest, summary = planned(corpus, tmp_path)
    assert rows(manifest)[10].reason is None
    assert summary.changed == 1


def test_another_corpus_is_refused_and_the_plan_stays(corpus, tmp_path):
    planned(corpus, tmp_path)
    other = ListedCorpus(corpus.root, [Utterance("else", "clip01.wav", "text")])
    with pytest.raises(UsageError, match="another corpus"):
        planned(other, tmp_path)
    assert Manifest(tmp_path / "manifest").rows == 10


def test_an_empty_corpus_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="no utterances"):
        planned(ListedCorpus(tmp_path), tmp_path)


def test_max_samples_takes_the_first(corpus, tmp_path):
    manifest, _ = planned(corpus, tmp_path, max_samples=3)
    assert [row.utterance.id for row in rows(manifest)] == ["clip00", "clip01", "clip02"]


def test_excluded_ids_are_read_from_jsonl(tmp_path):
    path = tmp_path / "suspects.jsonl"
    path.write_text("\n".join(json.dumps({"id": name, "reasons": []}) for name in ("a", "b")) + "\n")
    assert read_excluded(str(path)) == {"a", "b"}


@pytest.mark.parametrize("content", ["not json\n", '{"name": "a"}\n', "[1]\n"])
def test_a_malformed_exclude_file_is_one_clear_error(tmp_path, content):
    path = tmp_path / "suspects.jsonl"
    path.write_text(content)
    with pytest.raises(UsageError, match="expected one JSON object"):
        read_excluded(str(path))


def test_a_plan_is_in_chunks_that_double_up_to_a_limit_with_the_same_shards(corpus, tmp_path, monkeypatch):
    few, _ = plan(corpus, tmp_path / "few" / "manifest", limits=LIMITS, shard_size=1)
    monkeypatch.setattr("pipeline.dataset.manifest.MAX_SHARDS", 2)
    many, _ = plan(corpus, tmp_path / "many" / "manifest", limits=LIMITS, shard_size=1)
    lengths = [[sum(s.chunk == chunk for s in each.shards) for chunk in each.chunks] for each in (few, many)]
    assert lengths == [[1, 1, 2, 4, 2], [1, 1, 2, 2, 2, 2]]
    assert [(s.first_row, s.digest) for s in few.shards] == [(s.first_row, s.digest) for s in many.shards]
    others = [replace(entry, id=f"other {entry.id}") for entry in corpus.entries]
    with pytest.raises(UsageError, match="another corpus"):
        planned(replace(corpus, entries=others), tmp_path / "many")
    assert Manifest(tmp_path / "many/manifest").chunks == many.chunks


def test_names_and_texts_that_are_no_unicode_are_rejected_once_and_for_all(tmp_path, make_clip):
    make_clip("good.wav")
    entries = [
        Utterance("good", "good.wav", "fine"),
        Utterance("caf\udce9", "good.wav", "fine"),  # a Latin-1 file name, as the system gives it
        Utterance("text", "good.wav", "half a \ud83d smile"),
        Utterance("who", "good.wav", "fine", speaker="\udcff"),
        Rejection("caf\udce9.txt", "", Reason.MALFORMED_TRANSCRIPT, "not \udce9"),
    ]
    for _ in range(2):
        manifest, summary = planned(ListedCorpus(tmp_path / "audio", entries), tmp_path)
        assert [row.reason for row in rows(manifest)] == [None, *["malformed_transcript"] * 4]
        assert [row.utterance.id for row in rows(manifest)][1] == "caf\\udce9"
    assert (summary.new, summary.changed, summary.vanished) == (0, 0, 0)


def test_a_file_from_the_far_future_is_planned(corpus, tmp_path):
    corpus.source.stat("clip00.wav")
    os.utime(tmp_path / "audio" / "clip00.wav", ns=(0, 2**63 - 1))
    assert [row.reason for row in rows(planned(corpus, tmp_path)[0])] == [None] * 10


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO])
def test_what_the_machine_refuses_while_planning_is_no_fault_of_the_clip(corpus, tmp_path, number):
    class Refusing(FolderSource):
        def stat(self, locator):
            raise OSError(number, os.strerror(number), locator)

    class Corpus(ListedCorpus):
        source = Refusing(tmp_path / "audio")

    with pytest.raises(OSError, match=os.strerror(number)):
        planned(Corpus(tmp_path / "audio", corpus.entries), tmp_path)
    assert not list((tmp_path / "manifest").glob("*"))

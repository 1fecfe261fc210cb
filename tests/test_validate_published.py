"""The same command on a dataset of the Hub: a real client, a Hub on loopback, the same figures."""

import json

import pytest
import soundfile
import yaml
from publish_hub import Hub
from validate_helpers import make_dataset, scanned, sound_rows

from pipeline.__main__ import main
from pipeline.audio.decode import decode
from pipeline.audio.source import FolderSource
from pipeline.errors import UsageError
from pipeline.publish.push import push_dataset
from pipeline.validate.published import RECORDINGS

pytest_plugins = ("publish_fixtures",)
# huggingface_hub hands files to its HTTP client by a keyword that this client is giving up.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
REPO = "user/speech"


@pytest.fixture
def server(server, monkeypatch):
    """The Hub's address also in the template of downloads, which was made when the client was imported."""
    template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    return server


def test_a_published_dataset_is_judged_like_the_local_one(server: Hub, tmp_path, monkeypatch):
    local = make_dataset(tmp_path / "out", sound_rows(60), shard_size=20)
    (local.root / "stats.json").write_text("{}")
    push_dataset(local, REPO)
    monkeypatch.chdir(tmp_path)
    arguments = ["validate", REPO, "--sample", "0", "--exact", "0"]
    assert main(arguments) == 0
    report = tmp_path / "validated" / REPO.replace("/", "--") / "report"
    found = json.loads((report / "metrics.json").read_text())
    expected, _, _ = scanned(local)
    assert found["dataset"]["rows"] == 60
    assert found["statistics"]["codebook"] == expected["statistics"]["codebook"]
    assert found["statistics"]["rates"] == expected["statistics"]["rates"]
    assert main(arguments) == 0  # again, with what is there


def test_embedded_recordings_become_files_to_listen_to(server: Hub, tmp_path, monkeypatch):
    rows = sound_rows(2)
    clips = tmp_path / "clips"
    (clips / "set").mkdir(parents=True)
    for row in rows:
        soundfile.write(
            clips / row["audio"], [0.1, -0.1] * int(row["duration"] * row["sample_rate"] / 2), 16_000
        )
    push_dataset(make_dataset(tmp_path / "out", rows), REPO, embed_audio=FolderSource(clips))
    monkeypatch.chdir(tmp_path)
    assert main(["validate", REPO, "--sample", "0", "--exact", "0"]) == 0
    root = tmp_path / "validated" / REPO.replace("/", "--")
    for row in rows:
        assert (root / RECORDINGS / row["audio"]).read_bytes() == (clips / row["audio"]).read_bytes()
        decode(root / RECORDINGS / row["audio"], max_seconds=60, deadline_seconds=60)


def test_what_is_neither_here_nor_there_is_one_sentence(server: Hub, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["validate", "someone/else"]) == 2
    assert "neither a folder here nor a dataset" in capsys.readouterr().err


def test_what_was_fetched_names_no_place_outside_of_its_folder(tmp_path):
    from pipeline.validate.published import import_published

    fetched = make_dataset(tmp_path / "fetched", sound_rows(2)).root
    config = yaml.safe_load((fetched / "config.yaml").read_text())
    config["settings"]["corpus"] |= {"audio": "http://127.0.0.1:9/x", "text": "/etc/passwd", "cache": "../x"}
    (fetched / "config.yaml").write_text(yaml.safe_dump(config))
    (fetched / "stats.json").write_text(json.dumps({"rejected": 0, "codecs": [{}]}))
    corpus = import_published(fetched, tmp_path / "root").settings["corpus"]
    assert (corpus["audio"], corpus["text"], corpus["cache"]) == (None, None, None)
    config["settings"]["output"]["split"] = "../../elsewhere"
    (fetched / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UsageError, match="not one that"):
        import_published(fetched, tmp_path / "other")
    assert not (tmp_path / "other").exists()

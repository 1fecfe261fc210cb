from pathlib import Path

import pytest
import yaml

from pipeline import config
from pipeline.config import Settings
from pipeline.errors import UsageError


def written(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path):
    settings = config.load(written(tmp_path, "codec: {bf16: true}\n"))
    assert settings.codec.bf16 is True
    assert settings.output == Settings().output


def test_settings_survive_a_round_trip_through_yaml(tmp_path):
    settings = Settings().with_values({"codec.name": "日本/語", "output.shard_size": 5})
    assert config.load(written(tmp_path, yaml.safe_dump(settings.model_dump()))) == settings


def test_what_the_sample_says_of_itself_holds_for_no_other_corpus():
    for given in (None, "configs/sample.yaml", config.SAMPLE):
        sample = config.resolve(given, audio=None, text=None, values={})
        assert (sample.corpus.licence, sample.validation.min_stoi) == ("CC-BY-SA-3.0", 0.6)
        own = config.resolve(given, audio="clips", text="a.csv", values={"output.shard_size": 5})
        expected = {"corpus.audio": "clips", "corpus.text": "a.csv", "output.shard_size": 5}
        assert own == Settings().with_values(expected)


def test_a_file_of_the_user_s_keeps_its_settings_for_a_corpus_on_the_command_line(tmp_path):
    path = written(tmp_path, "corpus: {audio: a, licence: CC0-1.0}\n")
    settings = config.resolve(path, audio="clips", text=None, values={})
    assert (settings.corpus.audio, settings.corpus.licence) == ("clips", "CC0-1.0")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("codek: {}", "unknown key codek; valid here: corpus, limits, codec"),
        ("codec: {nam: x}", "unknown key codec.nam; valid here: name, impl"),
        ("output: {format: csv}", "output.format = 'csv': input should be 'jsonl', 'arrow' or 'parquet'"),
        ("output: {shard_size: many}", "output.shard_size = 'many': input should be a valid integer"),
        ("output: {shard_size: 0}", "output.shard_size = 0: input should be greater than or equal to 1"),
        ("- a", "expected sections"),
        ("a: [", "not valid YAML"),
        ("a: " + "[" * 5000, "not valid YAML: nested too deeply"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "aliases (*name) are not read here"),
        (f"codec: {{name: {'x' * (1 << 20)}}}", "larger than 1,048,576 bytes"),
        (f"codec: {{bf16: {'x' * 9999}}}", "codec.bf16 = 'xxx"),
        ("codec: {name: 'a\0b'}", "not valid YAML"),
    ],
)
def test_a_fault_in_a_file_is_named_with_what_would_be_valid(tmp_path, text, message):
    with pytest.raises(UsageError) as raised:
        config.load(written(tmp_path, text))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("corpus: {licence: Liz\xe9}".encode("latin-1"))
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    for name in ("none.yaml", ".", "loop.yaml", "x" * 300, "latin.yaml", "a\0b"):
        with pytest.raises(UsageError, match=r"cannot read the configuration|is not valid YAML"):
            config.load(tmp_path / name)


def test_a_key_that_does_not_exist_is_named_also_to_users_of_the_library():
    with pytest.raises(UsageError, match="unknown key codek; valid here: corpus"):
        Settings().with_values({"codek.bf16": True})


def test_the_fingerprint_follows_what_changes_results_alone():
    same = Settings().with_values({"load.num_workers": 3, "codec.device": "cpu", "corpus.audio": "x"})
    other = Settings().with_values({"codec.bf16": True})
    assert same.fingerprint() == Settings().fingerprint() != other.fingerprint()


def test_every_key_is_documented():
    assert [key for key, field in config.all_keys() if not field.description] == []


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[1] / "configs").glob("*.yaml")), ids=lambda p: p.name
)
def test_each_shipped_configuration_is_valid_and_says_when_to_use_it(path):
    config.load(path)
    text = path.read_text()
    assert text.startswith("# ")
    assert yaml.safe_load(text)["codec"]["name"]

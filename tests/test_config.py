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
    assert config.load(written(tmp_path, config.dump(settings))) == settings


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
    ],
)
def test_a_fault_in_a_file_is_named_with_what_would_be_valid(tmp_path, text, message):
    with pytest.raises(UsageError) as raised:
        config.load(written(tmp_path, text))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(UsageError, match="cannot read the configuration"):
        config.load(tmp_path / "none.yaml")


def test_the_fingerprint_follows_what_changes_results_alone():
    same = Settings().with_values({"load.num_workers": 3, "codec.device": "cpu", "corpus.audio": "x"})
    other = Settings().with_values({"codec.bf16": True})
    assert same.fingerprint() == Settings().fingerprint() != other.fingerprint()


def test_every_key_is_documented():
    assert [key for key, field in config.all_keys() if not field.description] == []


@pytest.mark.parametrize(
    "path", sorted((config.Path(__file__).parents[1] / "configs").glob("*.yaml")), ids=lambda p: p.name
)
def test_each_shipped_configuration_is_valid_and_says_when_to_use_it(path):
    config.load(path)
    text = path.read_text()
    assert text.startswith("# ")
    assert yaml.safe_load(text)["codec"]["name"]

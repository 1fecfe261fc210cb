"""What figures, rules and outcomes are called for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OUTCOMES = ("failed", "unsure", "passed", "skipped")
VERDICTS = {
    "pass": "A model trained on this can speak well.",
    "fail": "Do not train on this yet.",
    "not judged": "Not judged: the recordings could not be listened to.",
}
TOTALS = ("rows_unaccounted", "shards_unfinished", "shards_of_another_plan", "files_damaged")
REASONS = {
    "missing_value": "without id, text or codes",
    "code_outside_codebook": "codes that the codebook lacks",
    "token_ids_as_codes": "token ids of the language model instead of codes",
    "wrong_code_count": "another number of codes than the audio gives",
    "one_code_short": "the last code is missing, and no other",
    "not_in_plan": "not in the plan",
    "text_differs_from_plan": "another text than the plan",
    "audio_differs_from_plan": "another recording than the plan",
    "may_exceed_training_length": "perhaps too long for training (give --tokenizer)",
    "exceeds_training_length": "too long for training",
    "long_run_of_one_code": "one code goes on and on",
    "stuck_tail": "one code goes on to the end",
    "loop": "codes repeat in a loop",
    "speech_too_slow_for_text": "little text for so much speech",
    "speech_too_fast_for_text": "much text for so little speech",
    "duplicate_id": "an id that an earlier row has",
    "duplicate_audio": "a recording that an earlier row has",
    "duplicate_text": "a text that an earlier row has (fine between speakers)",
    "duplicate_codes": "the codes of an earlier row",
    "codes_of_something_else": "codes that this clip does not give",
    "decoded_is_not_its_source": "decoded audio is not like its source",
    "other_words_are_heard": "other words are heard than written",
    "source_cannot_be_decoded": "the source cannot be decoded now",
    "clipped": "clipped",
    "dc_offset": "offset",
    "little_speech": "hardly any speech",
    "faint": "very quiet",
    "rows_unaccounted": "planned, but neither row nor rejected",
    "shards_unfinished": "shards that are not finished",
    "shards_of_another_plan": "shards made from another plan",
    "files_damaged": "files that are damaged or missing",
}
FIGURES = {
    "log_mel": "Log-mel distance, dB",
    "stft": "Multi-resolution STFT distance",
    "mel_correlation": "Correlation of mel movements",
    "rows_matched": "Rows that sound like their source",
    "stoi": "Intelligibility (STOI)",
    "pesq_wb": "PESQ, wide band",
    "pesq_nb": "PESQ, narrow band",
    "mos_source": "Distill-MOS of the source",
    "mos_decoded": "Distill-MOS, decoded",
    "mos_drop": "Distill-MOS, fall",
    "speaker_similarity": "Speaker similarity (a weak measure)",
    "word_errors_source": "Word error rate, source",
    "word_errors_decoded": "Word error rate, decoded",
    "character_errors_source": "Character error rate, source",
    "character_errors_decoded": "Character error rate, decoded",
    "error_rise": "Error rate, rise over the one before",
    "rows_with_other_words": "Rows in which other words are heard",
    "errors_spoken": "Error rate, spoken by the model",
    "ended": "Texts that the model ended by itself",
    "duration_ratio": "Spoken duration, of the source's",
    "rows_of_odd_duration": "Texts spoken in under half or over twice the time",
    "leading_silence": "Silence at the beginning, s",
    "trailing_silence": "Silence at the end, s",
    "clipped": "Share of clipped samples",
    "offset": "Offset, of full scale",
    "rows_clipped": "Rows that are clipped",
    "rows_dc_offset": "Rows that are offset",
    "rows_little_speech": "Rows with hardly any speech",
    "rows_faint": "Rows that are very quiet",
    "rows_with_bad_audio": "Rows with any of these",
    "rows_without_source": "Rows whose source cannot be decoded now",
    "speech": "Share of speech",
    "rms": "Level, dBFS",
    "loudness": "Loudness, LUFS",
    "bandwidth": "Bandwidth, Hz",
    "rows_narrow": "Rows in telephone band",
}
LISTENING = (
    "Each clip as it was recorded, and decoded from its codes: a model can only learn what is in the second. "
    "STOI: how intelligible the decoded clip is, up to 1. PESQ: how like its source, 1 to 4.6. MOS: how "
    "natural it sounds, 1 to 5. Spectrograms show low notes at the bottom and loud ones bright."
)
PUBLISHED = {  # of XCodec2: https://arxiv.org/abs/2502.04128
    "stoi": 0.92,
    "pesq_wb": 2.43,
    "pesq_nb": 3.04,
    "word_errors_source": 0.0196,
    "word_errors_decoded": 0.0247,
}
PUBLISHED_NOTE = "* As its authors measured it, on LibriSpeech test-clean and with a larger recogniser."


def number(value: float | None) -> str:
    """Format a figure in three digits, never as a power of ten; a dash if there is none."""
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    short = f"{value:.3g}"
    return short if "e" not in short else f"{value:.5f}".rstrip("0").rstrip(".")


def reason(suspect: Mapping[str, Any], name: str) -> str:
    """Return a suspect's reason with its figure, if it has one."""
    value = suspect["values"].get(name)
    said = REASONS.get(name, name)
    return said if value is None else f"{said} ({number(value)})"

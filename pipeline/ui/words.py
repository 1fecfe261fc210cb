"""What the page says, in English and Japanese.

Labels are chosen in the browser by its language; sentences made here by the language its requests ask for.
"""

from __future__ import annotations

from typing import Any

PREFIX = "llasa_"  # gradio has labels of its own, such as "status"
LABELS = {  # key: English, Japanese
    "speak": ("Speak", "音声合成"),
    "codec": ("Codec", "コーデック"),
    "dataset": ("Dataset", "データセット"),
    "text": ("Text", "テキスト"),
    "text_hint": ("What to say", "読み上げる文章を入力してください"),
    "normalised": ("As the model reads it", "正規化後のテキスト"),
    "samples": ("Sample sentences", "サンプル文"),
    "generate": ("Generate", "生成"),
    "loading": ("⏳ Loading the model…", "⏳ モデルを読み込み中…"),
    "busy": ("⏳ Working…", "⏳ 処理中…"),
    "aloud": ("Play while it is made", "生成しながら再生する"),
    "takes": ("Earlier takes", "以前の生成結果"),
    "about_sample": (
        "The small sample model: a demonstration that says the telephone prompts it was trained on, in "
        "English, and little else.",
        "小さなサンプルモデル：学習に使った英語の電話案内文を読み上げるデモで、それ以外の文はほとんど読めません。",
    ),
    "about": (
        "A LLASA model reads the text aloud in the languages and voices that it was trained on; listen "
        "before you use what it says.",
        "LLASAモデルは、学習した言語と声でテキストを読み上げます。使用する前に必ず聴いて確認してください。",
    ),
    "stop": ("Stop", "停止"),
    "status": ("Status", "状態"),
    "speech": ("Speech", "生成された音声"),
    "spectrogram": (
        "Spectrogram (low notes at the bottom, loud is bright)",
        "スペクトログラム（下が低音、明るいほど大きい音）",
    ),
    "codes": ("Codes", "音声コード"),
    "sampling": ("Sampling", "サンプリング設定"),
    "temperature": ("Temperature (0: greedy)", "温度（0：貪欲法）"),
    "top_p": ("Top-p", "Top-p"),
    "top_k": ("Top-k (0: off)", "Top-k（0：なし）"),
    "penalty": ("Repetition penalty", "繰り返しペナルティ"),
    "max_codes": ("Longest sentence, codes (50 a second)", "1文の最大コード数（1秒＝50コード）"),
    "seed": ("Seed (empty: drawn)", "シード（空欄：ランダム）"),
    "voice": ("Voice to speak with", "参照音声（声の複製）"),
    "reference": ("Reference clip, up to 20 s", "参照音声（20秒まで）"),
    "transcript": ("What is said in it", "参照音声の書き起こし"),
    "row_voice": ("Voice from the dataset", "データセットから選んだ声"),
    "batch": ("Batch: a text a line", "一括生成（1行に1文）"),
    "lines": ("Lines", "テキスト（1行ずつ）"),
    "generate_lines": ("Generate all", "一括生成"),
    "results": ("Results", "結果"),
    "download": ("All as WAV (zip)", "すべてダウンロード（WAV、zip）"),
    "clip": ("Clip, up to 40 s", "音声（40秒まで）"),
    "round_trip": ("Encode and decode", "符号化して復号"),
    "original": ("As the codec hears it", "コーデックへの入力"),
    "decoded": ("Decoded from the codes", "コードからの復号"),
    "search": ("Search text or id", "テキスト・IDで検索"),
    "where": (
        "Condition over rows and annotations (SQL, as select takes it)",
        "条件（SQL、selectと同じ書き方）",
    ),
    "rows": ("Clips (choose one)", "クリップ（行を選択）"),
    "source_audio": ("Source", "元の音声"),
    "decoded_audio": ("Decoded", "復号した音声"),
    "use_voice": ("Speak with this voice", "この声で話す"),
    "rejected": ("Rejected, and why", "除外されたクリップと理由"),
    "no_dataset": (
        "Start the page with `--dataset OUT` to browse a finished dataset here.",
        "`--dataset OUT` を付けて起動すると、作成済みのデータセットをここで閲覧できます。",
    ),
}

SENTENCES = {
    "loading": ("⏳ Loading the model… {seconds:.0f} s", "⏳ モデルを読み込み中… {seconds:.0f}秒"),
    "ready": (
        "✅ Ready: {model}, loaded in {seconds:.1f} s",
        "✅ 準備完了：{model}（読み込み {seconds:.1f}秒）",
    ),
    "failed": ("❌ The model could not be loaded: {error}", "❌ モデルを読み込めませんでした：{error}"),
    "done": ("✅ Done! ⏱️ {total:.2f} s", "✅ 生成完了！ ⏱️ {total:.2f}秒"),
    "stopped": ("⏹️ Stopped. ⏱️ {total:.2f} s", "⏹️ 停止しました ⏱️ {total:.2f}秒"),
    "first_sound": (" · first sound after {seconds:.2f} s", "・最初の音まで {seconds:.2f}秒"),
    "take": ("{seconds:.1f} s · seed {seed} · {text}", "{seconds:.1f}秒・シード {seed}・{text}"),
    "figures": (
        "{codes:,} codes · {rate:.0f} codes/s · {factor:.2f}× real time · tokenising {tokenising:.3f} s"
        " · generating {generating:.2f} s · extracting {extracting:.3f} s · decoding {decoding:.2f} s"
        " · seed {seed}",
        "{codes:,}コード・{rate:.0f}コード/秒・実時間の{factor:.2f}倍・トークン化 {tokenising:.3f}秒・"
        "生成 {generating:.2f}秒・抽出 {extracting:.3f}秒・復号 {decoding:.2f}秒・シード {seed}",
    ),
    "cut": (" · cut at the longest length", "・最大長で打ち切り"),
    "working": ("⏳ {codes:,} codes, {done} sentences done", "⏳ {codes:,}コード・{done}文完了"),
    "round_trip": (
        "✅ Done! ⏱️ {total:.2f} s · {codes:,} codes for {seconds:.2f} s",
        "✅ 完了！ ⏱️ {total:.2f}秒・{seconds:.2f}秒の音声 → {codes:,}コード",
    ),
    "bad_seed": (
        "the seed {seed} is not a whole number from 0 to 4,294,967,295",
        "シード {seed} は0から4,294,967,295までの整数ではありません",
    ),
    "bad_sampling": ("the sampling settings are no numbers", "サンプリング設定が数値ではありません"),
    "too_long": (
        "the text has {count:,} characters; at most {most:,} are spoken at once",
        "テキストは{count:,}文字あります。一度に{most:,}文字までです",
    ),
    "no_clip": ("choose a clip first", "音声を選んでください"),
    "not_ready": ("the model is still loading", "モデルを読み込み中です"),
    "too_many": ("{count} lines; at most {most} at once", "{count}行あります。一度に{most}行までです"),
    "no_source": ("the source audio is not there: {error}", "元の音声がありません：{error}"),
    "found": ("{count} shown of {total:,} clips", "{total:,}クリップ中 {count}件を表示"),
}
COLUMNS = {
    "rows": (["id", "text", "seconds", "codes"], ["ID", "テキスト", "秒", "コード数"]),
    "rejected": (["id", "reason", "detail"], ["ID", "理由", "詳細"]),
    "lines": (["text", "seconds", "codes"], ["テキスト", "秒", "コード数"]),
}


class Labels:
    """The labels by key, as gradio takes them: the browser puts in its language's."""

    def __init__(self) -> None:
        import gradio as gr

        tables = [{PREFIX + key: words[i] for key, words in LABELS.items()} for i in range(2)]
        self.tables = gr.I18n(en=tables[0], ja=tables[1])

    def __call__(self, key: str) -> Any:
        """Return the label of that key."""
        return self.tables(PREFIX + key)


def is_japanese(request: Any) -> bool:
    """Return whether a request's first language is Japanese."""
    return str(request.headers.get("accept-language", "")).strip().lower().startswith("ja")


def translate(request: Any, key: str, **values: Any) -> str:
    """Return a sentence in the language of a request."""
    return SENTENCES[key][is_japanese(request)].format(**values)


def label(request: Any, key: str) -> str:
    """Return a label in the language of a request, for a component that changes after it was built."""
    return LABELS[key][is_japanese(request)]


def columns(request: Any, key: str) -> list[str]:
    """Return the headers of a table in the language of a request."""
    return COLUMNS[key][is_japanese(request)]

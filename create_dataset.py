"""Turn recordings with transcripts into a dataset of text and XCodec2 codes; resumable, exact in batches.

python create_dataset.py AUDIO_DIR TEXT_FILE -o out/                       a folder of shards
python create_dataset.py AUDIO_DIR TEXT_FILE -o dataset/data.jsonl --bf16  one file of {"text", "code"} rows
"""

import sys

from pipeline.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["create", *sys.argv[1:]]))

"""The web page of a LLASA model: speak, hear the codec, browse a dataset.

python gradio_tts_ui.py                                   the sample model
python gradio_tts_ui.py ./lora_checkpoints --compile --bf16
"""

import sys

from pipeline.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["ui", *sys.argv[1:]]))

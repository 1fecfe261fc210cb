"""What the LLASA is asked to say when it is scored: prompts it was trained on, and sentences it never met.

Knows texts only.
"""

import hashlib

from pipeline.llasa.sentences import split
from sample_models.prompts import Prompt

TRAINED = 20  # training prompts that are spoken
LONGER = 6  # the same, of several sentences

# Put together from words and phrases of the prompts; none of them is a prompt.
RECOMBINED = (
    "Please enter your password, then press pound.",
    "Thank you. Your message has been deleted.",
    "You have twelve new messages.",
    "The conference is currently full, please try again later.",
    "Press two to leave a message for the operator.",
    "I'm sorry, that mailbox is not available right now.",
    "Your extension has been added to the directory.",
    "All agents are busy now. Please hold.",
    "The number you have entered is one three five seven.",
    "Goodbye, and thank you for calling.",
)


def trained(prompts: list[Prompt], *, several: bool) -> list[str]:
    """Texts of training prompts of 1.5 to 6 s, chosen by a hash of the name: of one sentence, or of several.

    The companion speaks sentence by sentence. A sentence out of a longer prompt was never a prompt of its
    own, so those of several are another matter.
    """
    fitting = [
        p
        for p in prompts
        if 1.5 <= p.seconds <= 6 and len(p.text.split()) >= 4 and (len(split(p.text)) > 1) == several
    ]
    chosen = sorted(fitting, key=lambda p: hashlib.sha256(p.name.encode()).digest())
    return [p.text for p in chosen[: LONGER if several else TRAINED]]

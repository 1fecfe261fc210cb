"""What the LLASA is asked to say when it is scored: prompts it was trained on, and sentences it never met.

Knows texts only.
"""

import hashlib

from sample_models.prompts import Prompt

TRAINED = 20  # training prompts that are spoken

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


def trained(prompts: list[Prompt]) -> list[str]:
    """Sentences of 1.5 to 6 s from the training prompts, chosen by a hash of the name."""
    fitting = [p for p in prompts if 1.5 <= p.seconds <= 6 and len(p.text.split()) >= 4]
    return [p.text for p in sorted(fitting, key=lambda p: hashlib.sha256(p.name.encode()).digest())[:TRAINED]]

"""Support tickets that are made up, with known labels and known faults. Needs nothing but Python's standard library.

A ticket says what happened, which decides its queue, and how much it hurries, which decides its priority. The sentences
of the held-out tickets occur in no ticket to train on: whoever triages them has learned what tickets mean, not the
sentences.
"""

import json
import random
from collections.abc import Iterator
from typing import NamedTuple

PROBLEMS = {
    "billing": [
        "I was charged twice for {item}",
        "the invoice for {item} shows the wrong amount",
        "my card was billed {days} days after I had cancelled",
        "the discount code was not taken off my bill",
        "you took {amount} from my account and I do not know what for",
        "the payment for {item} went through two times",
        "I need a receipt with our tax number for {item}",
        "the price on the invoice is higher than in the shop",
        "the yearly fee was debited although I pay by the month",
        "my bank shows a charge of {amount} that I never agreed to",
        "the VAT on invoice {number} is not right",
        "I paid by transfer {days} days ago and still get reminders to pay",
    ],
    "delivery": [
        "{item} has not arrived after {days} days",
        "the parcel with {item} is stuck at the depot",
        "tracking has not moved for {days} days",
        "the courier left {item} at the wrong house",
        "my package says delivered but nothing is here",
        "when will {item} be shipped",
        "the delivery of {item} was put off again",
        "half of my order {number} is missing from the box",
        "the driver never rang and took the parcel back",
        "please send {item} to another address, it is on its way already",
        "the shipment is held at customs since {days} days",
        "I waited all day for the courier and nobody came",
    ],
    "account": [
        "I cannot log in since {days} days",
        "the link to reset my password does not come",
        "my account was locked after I changed my phone",
        "I want to change the email address of my profile",
        "the app says that my user name does not exist",
        "please delete my profile and all that belongs to it",
        "the code for signing in never reaches my phone",
        "somebody else has logged in with my password",
        "I cannot add a second user to our account",
        "my profile shows the name of another customer",
        "after the update the app signs me out every minute",
        "I have forgotten my password and the security question",
    ],
    "returns": [
        "{item} came broken and I want to send it back",
        "how do I return {item}, it is too small",
        "I sent {item} back {days} days ago and have seen no refund",
        "{item} does not work and I would like another one",
        "I would like to exchange {item} for a larger one",
        "the return label for {item} cannot be printed",
        "the colour of {item} is wrong, please take it back",
        "{item} stopped working after {days} days, is there a warranty",
        "I changed my mind about {item} and want my money back",
        "the shop in town refuses to take {item} back",
        "a part of {item} is cracked, can it be replaced",
        "you sent me the wrong size and I want to swap it",
    ],
}
HELD_OUT_PROBLEMS = {
    "billing": [
        "two payments for {item} appear on my card statement",
        "please correct the amount on invoice {number}",
        "I was billed for a subscription that I cancelled {days} days ago",
    ],
    "delivery": [
        "I am still waiting for the parcel with {item}",
        "the tracking page says delivered, yet no package came",
        "the courier brought only half of my order",
    ],
    "account": [
        "my password is not accepted any more when I sign in",
        "I am locked out of my profile since {days} days",
        "the email for the password reset never arrives",
    ],
    "returns": [
        "{item} arrived damaged, I would like to return it",
        "I want to exchange {item} because it is too large",
        "where is the refund for {item} that I sent back",
    ],
}
URGENT = [
    "This is urgent, please answer today.",
    "I need this solved right now.",
    "Please hurry, we cannot work like this.",
    "It must be fixed by tomorrow morning.",
    "I need help immediately.",
    "This cannot wait any longer.",
    "Please treat this as an emergency.",
    "We lose money every hour, act at once.",
]
HELD_OUT_URGENT = ["This is an emergency, I need an answer right now.", "It cannot wait, please help immediately."]
NORMAL = [
    "There is no hurry.",
    "Whenever you have time.",
    "Thanks for looking into it.",
    "Just let me know at some point.",
    "It can wait until next week.",
    "No rush at all.",
    "Thank you and have a nice day.",
    "I look forward to hearing from you.",
]
HELD_OUT_NORMAL = ["Take your time, there is no rush.", "Thanks, it can wait."]
GREETINGS = ["Hello,", "Hi there,", "Good morning,", "Dear team,", "Hi,", ""]
ITEMS = ["the lamp", "my kettle", "the blue jacket", "the keyboard", "a pair of shoes", "the desk", "my headphones",
         "the rucksack", "the coffee grinder", "the garden chair", "my watch", "the tent"]  # fmt: skip
SIGNATURES = [
    "Sent from my phone",
    "This message is confidential. If you are not the person it is meant for, please delete it.",
]
NAMES = ["Anna Berger", "Tom Hill", "Maria Lopez", "Jon Smith", "Eva Novak", "Peter Jones"]


class Label(NamedTuple):
    """What a ticket is about and how much it hurries."""

    queue: str
    priority: str

    def answer(self) -> str:
        """Write the answer that is wanted."""
        return json.dumps({"queue": self.queue, "priority": self.priority})


class Ticket(NamedTuple):
    """One ticket, as clean as it can be."""

    text: str
    label: Label


def tickets(count: int, *, seed: int, is_held_out: bool = False) -> Iterator[Ticket]:
    """Make tickets, all queues and priorities in turn, no two of the same text."""
    generator = random.Random(seed)  # noqa: S311 - made up, and the same each time
    problems = HELD_OUT_PROBLEMS if is_held_out else PROBLEMS
    urgent, normal = (HELD_OUT_URGENT, HELD_OUT_NORMAL) if is_held_out else (URGENT, NORMAL)
    labels = [Label(queue, priority) for queue in problems for priority in ("normal", "urgent")]
    seen: set[str] = set()
    while len(seen) < count:
        label = labels[len(seen) % len(labels)]
        problem = generator.choice(problems[label.queue]).format(
            item=generator.choice(ITEMS),
            days=generator.randint(2, 30),
            amount=f"{generator.randint(5, 400)} euros",
            number=generator.randint(10_000, 99_999),
        )
        hurry = generator.choice(urgent if label.priority == "urgent" else normal)
        greeting = generator.choice(GREETINGS)
        text = " ".join(filter(None, (greeting, f"{problem[0].upper()}{problem[1:]}.", hurry)))
        if text not in seen:
            seen.add(text)
            yield Ticket(text, label)

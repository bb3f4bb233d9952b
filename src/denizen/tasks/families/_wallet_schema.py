"""The object a wallet acts on: one intent with its fields, and what each risk means.

Contract: every field is decided by what the message states; what it does not state is null.  Funds
and permissions never move on this object alone: `needs_confirmation` is yes unless the intent is
one that can take nothing from the wallet.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.tasks.structured import Field, Schema

INTENTS = (
    "send", "swap", "bridge", "stake", "unstake", "approve", "revoke", "claim", "balance",
    "support",
)  # fmt: skip
# Intents that take neither funds nor permissions out of the wallet.
UNCONFIRMED = frozenset({"balance", "support", "claim"})
NETWORKS = ("ethereum", "base", "arbitrum", "optimism", "polygon")
TOPICS: dict[str, str] = {
    "stuck transaction": "is pending for long",
    "failed transaction": "was reverted or failed",
    "missing funds": "confirmed, but the funds do not show",
    "wrong recipient": "already sent to a wrong address or network",
    "gas fees": "network fees, or no coin to pay them",
    "seed phrase request": "somebody or something wants the seed phrase or a private key",
    "unknown token": "a token or NFT the user did not acquire",
    "lost access": "seed phrase, password or device lost",
}
HIGH_SLIPPAGE = Decimal("0.05")
# Each is stated in the message, never guessed.
RISKS: dict[str, str] = {
    "unlimited approval": "the approval asked for has no limit",
    "new address": "the user says that this address was never used before",
    "whole balance": "the user says that the amount is all there is of it",
    "high slippage": f"a slippage limit above {HIGH_SLIPPAGE:.0%}",
    "unverified contract": "the contract or site is said to be unverified or unknown",
    "told by a stranger": "the user acts on the word of somebody met online",
    "asks for seed phrase": "somebody or something wants the seed phrase or a private key",
}


def _told(words: dict[str, str]) -> str:
    return "; ".join(f"{word}: {meaning}" for word, meaning in words.items())


SCHEMA = Schema(
    "wallet_intent",
    "What a wallet user wants, from one message; a field that the message does not state is null. "
    "needs_confirmation is yes for every intent but "
    f"{', '.join(sorted(UNCONFIRMED))}. A message that wants help and orders nothing is support, "
    "with topic, network, risk and no other field.",
    (
        Field("intent", "what the user orders, or support", "choice", INTENTS),
        Field("topic", f"of support only. {_told(TOPICS)}", "choice", tuple(TOPICS), optional=True),
        Field(
            "amount",
            "how much, with its token; in a swap of the token sold or of the one bought",
            "quantity",
            of="amount",
            optional=True,
        ),
        Field("asset", "token it is about; in a swap the one sold", "text", optional=True),
        Field("asset_out", "token bought in a swap", "text", optional=True),
        Field("recipient", "address that receives", "address", optional=True),
        Field("spender", "address with the allowance", "address", optional=True),
        Field("network", "where it happens or starts", "choice", NETWORKS, optional=True),
        Field("to_network", "where a bridge leads", "choice", NETWORKS, optional=True),
        Field("max_slippage", "limit stated", "quantity", of="percent", optional=True),
        Field("needs_confirmation", "ask the user before acting", "choice", ("yes", "no")),
        Field("risk", f"risks that are stated. {_told(RISKS)}", "choices", tuple(RISKS)),
    ),
)

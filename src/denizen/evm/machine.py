"""An embedded EVM: real bytecode in pyrevm, with its pitfalls kept behind one door.

Contract: `call` changes the state and `trial` never does; both raise Revert with the contract's
reason.  Transient storage is cleared before every call, as between transactions.  What pyrevm does
otherwise (no journal is ever committed, `spec_id` is ignored, a caller may have no code) is handled
or refused here.  Gas is not metered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from denizen.evm.abi import decode_error, encode
from denizen.project.errors import ArtefactError

# Addresses without meaning: the default sender, and the first of a run of contract accounts.
SENDER = "0x" + "5e" * 20
_GAS = 1 << 40
_OUTPUT = re.compile(r"output: 0x([0-9a-fA-F]*)")


class Revert(Exception):
    """A call that the contract refused: its return data and, decoded, its reason."""

    def __init__(self, data: bytes, halt: str = "") -> None:
        self.data = data
        self.reason = halt or decode_error(data)
        super().__init__(self.reason)


@dataclass(frozen=True)
class EventLog:
    """A log of the last call: emitting address (lower case), topics and data."""

    address: str
    topics: tuple[str, ...]
    data: bytes


class Machine:
    """One EVM with its state.  Not thread-safe; make another one for another world."""

    def __init__(self, *, timestamp: int = 1_700_000_000, number: int = 18_000_000) -> None:
        pyrevm = _pyrevm()
        self._evm = pyrevm.EVM(gas_limit=1 << 62)
        self._block = pyrevm.BlockEnv
        self._info = pyrevm.AccountInfo
        self.timestamp, self.number = timestamp, number
        self.warp(timestamp)

    def warp(self, timestamp: int, number: int | None = None) -> None:
        """Set the block's time (and number)."""
        self.timestamp = timestamp
        self.number = self.number if number is None else number
        self._evm.set_block_env(self._block(number=self.number, timestamp=timestamp))

    def deploy(
        self,
        code: bytes,
        types: Sequence[str] = (),
        values: Sequence[Any] = (),
        *,
        sender: str = SENDER,
    ) -> str:
        """Run creation code with constructor arguments; the new contract's address."""
        self._evm.reset_transient_storage()
        try:
            address: str = self._evm.deploy(sender, code + encode(types, values), gas=_GAS)
        except RuntimeError as error:
            raise _revert(error) from None
        return address

    def place(self, address: str, code: bytes, balance: int = 0) -> str:
        """Put runtime code at an address of our choosing (a hook's address holds its bits)."""
        self._evm.insert_account_info(address, self._info(code=code))
        if balance:
            self._evm.set_balance(address, balance)
        return address

    def call(self, to: str, data: bytes, *, sender: str = SENDER, value: int = 0) -> bytes:
        """A transaction: changes the state and returns the return data."""
        self._evm.reset_transient_storage()
        try:
            result: bytes = self._evm.message_call(
                caller=sender, to=to, calldata=data, value=value, gas=_GAS
            )
        except RuntimeError as error:
            raise _revert(error) from None
        return result

    def trial(self, to: str, data: bytes, *, sender: str = SENDER, value: int = 0) -> bytes:
        """A call whose changes are undone; also how to read."""
        before = self._evm.snapshot()
        try:
            return self.call(to, data, sender=sender, value=value)
        finally:
            self._evm.revert(before)

    def snapshot(self) -> Any:
        """A point to `revert` to; snapshots nest and must be reverted in reverse order."""
        return self._evm.snapshot()

    def revert(self, snapshot: Any) -> None:
        """Undo everything since `snapshot`."""
        self._evm.revert(snapshot)

    @property
    def logs(self) -> list[EventLog]:
        """Logs of the last call."""
        result = self._evm.result
        return [
            EventLog(log.address.lower(), tuple(log.topics), bytes(log.data[1]))
            for log in (result.logs if result else [])
        ]

    def balance(self, address: str) -> int:
        """Native balance in wei."""
        return int(self._evm.get_balance(address))

    def fund(self, address: str, balance: int) -> None:
        """Set a native balance."""
        self._evm.set_balance(address, balance)

    def storage(self, address: str, slot: int) -> int:
        """One storage word."""
        return int(self._evm.storage(address, slot))

    def store(self, address: str, slot: int, value: int) -> None:
        """Write one storage word: a test's shortcut to a state."""
        self._evm.insert_account_storage(address, slot, value)

    def code(self, address: str) -> bytes:
        """Runtime code."""
        return bytes(self._evm.get_code(address) or b"")


def _pyrevm() -> Any:
    try:
        import eth_abi  # noqa: F401  (calldata needs it; better said now than at the first call)
        import eth_hash  # noqa: F401
        import pyrevm
    except ImportError as error:
        raise ArtefactError(
            "the embedded EVM is not installed",
            where=error.name or "pyrevm",
            fix="python -m pip install 'denizen[evm]'",
        ) from error
    return pyrevm


def _revert(error: RuntimeError) -> Exception:
    text = str(error)
    if text.startswith("Transaction("):  # never reached a contract: our mistake, not a refusal
        return ArtefactError(f"not a transaction the EVM takes: {text[:200]}", where="pyrevm")
    match = _OUTPUT.search(text)
    if text.startswith("Revert") and match:
        return Revert(bytes.fromhex(match.group(1)))
    return Revert(b"", halt=text[:200])

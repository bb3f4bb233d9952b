"""A whole Aave v3 market of real bytecode in the embedded EVM.

Contract: `World` deploys @aave/core-v3 once, its proxies and linked libraries included; `configure`
gives reserves their parameters through the PoolConfigurator, as governance does; calls raise
Revert.  Only the price sources are ours: `latestAnswer()` of a word that 32 sent bytes set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

from denizen.evm.abi import calldata, decode
from denizen.evm.machine import SENDER, Machine
from denizen.evm.packages import PACKAGES, artefact
from denizen.evm.worlds.aave_views import ReserveData, UserReserve
from denizen.protocols.aave_v3 import (
    AccountData,
    EModeCategory,
    RateStrategy,
    ReserveConfig,
)

_CORE = "artifacts/contracts/protocol"
_FOLDERS = {
    "AaveOracle": "artifacts/contracts/misc",
    "AaveProtocolDataProvider": "artifacts/contracts/misc",
    "MintableERC20": "artifacts/contracts/mocks/tokens",
    "PoolAddressesProvider": f"{_CORE}/configuration",
    "ACLManager": f"{_CORE}/configuration",
    "Pool": f"{_CORE}/pool",
    "PoolConfigurator": f"{_CORE}/pool",
    "DefaultReserveInterestRateStrategy": f"{_CORE}/pool",
    "AToken": f"{_CORE}/tokenization",
    "VariableDebtToken": f"{_CORE}/tokenization",
    "StableDebtToken": f"{_CORE}/tokenization",
    "WadRayMathWrapper": "artifacts/contracts/mocks/tests",
}
_LOGIC = f"{_CORE}/libraries/logic"
_PRICE_SOURCE = bytes.fromhex("3660201460125760005460005260206000f35b60003560005500")
_NOBODY = "0x" + "00" * 20
_MAX = (1 << 256) - 1
_WALLET = 10**36
_INIT = (
    "initReserves((address,address,address,uint8,address,address,address,address,"
    "string,string,string,string,string,string,bytes)[])"
)
_SETTERS = {
    "borrowing_enabled": ("setReserveBorrowing", "bool"),
    "stable_borrowing_enabled": ("setReserveStableRateBorrowing", "bool"),
    "borrowable_in_isolation": ("setBorrowableInIsolation", "bool"),
    "siloed_borrowing": ("setSiloedBorrowing", "bool"),
    "frozen": ("setReserveFreeze", "bool"),
    "paused": ("setReservePause", "bool"),
    "active": ("setReserveActive", "bool"),
    "reserve_factor": ("setReserveFactor", "uint256"),
    "liquidation_protocol_fee": ("setLiquidationProtocolFee", "uint256"),
    "supply_cap": ("setSupplyCap", "uint256"),
    "borrow_cap": ("setBorrowCap", "uint256"),
    "debt_ceiling": ("setDebtCeiling", "uint256"),
    "e_mode_category": ("setAssetEModeCategory", "uint8"),
}
TREASURY_ADDRESS = "0x" + "7e" * 20


def code(name: str, libraries: Mapping[str, str] | None = None) -> bytes:
    """Creation code of a contract, its library placeholders replaced by addresses (or zeros)."""
    file = f"{_FOLDERS.get(name, _LOGIC)}/{name}.sol/{name}.json"
    built = artefact(PACKAGES["aave-core"], file)
    text = built["bytecode"].removeprefix("0x")
    for places in built["linkReferences"].values():
        for library, spots in places.items():
            address = (libraries or {}).get(library, _NOBODY)[2:]
            for spot in spots:
                at = 2 * spot["start"]
                text = text[:at] + address + text[at + 40 :]
    return bytes.fromhex(text)


def _terms(config: ReserveConfig) -> tuple[int, int, int]:
    return config.ltv, config.liquidation_threshold, config.liquidation_bonus


class World:
    """The deployed market: its tokens (name to decimals) and users by name."""

    def __init__(self, tokens: Mapping[str, int], users: Sequence[str]) -> None:
        self.machine = Machine()
        self.users = {user: f"0x{0xA0 + place:02x}" + "11" * 19 for place, user in enumerate(users)}
        deploy, govern = self._deploy, self._govern
        self._provider = deploy("PoolAddressesProvider", ["string", "address"], "", SENDER)
        govern(self._provider, "setACLAdmin(address)", SENDER)
        acl = deploy("ACLManager", ["address"], self._provider)
        govern(self._provider, "setACLManager(address)", acl)
        govern(acl, "addPoolAdmin(address)", SENDER)
        govern(self._provider, "setPoolImpl(address)", self._deploy_pool())
        libraries = {"ConfiguratorLogic": deploy("ConfiguratorLogic")}
        configurator = deploy("PoolConfigurator", libraries=libraries)
        govern(self._provider, "setPoolConfiguratorImpl(address)", configurator)
        self.pool = self._provided("getPool()")
        self._configurator = self._provided("getPoolConfigurator()")
        self._data = deploy("AaveProtocolDataProvider", ["address"], self._provider)
        govern(self._provider, "setPoolDataProvider(address)", self._data)
        self._oracle = deploy(
            "AaveOracle",
            ["address", "address[]", "address[]", "address", "address", "uint256"],
            *(self._provider, [], [], _NOBODY, _NOBODY, 10**8),
        )
        govern(self._provider, "setPriceOracle(address)", self._oracle)
        self.tokens: dict[str, str] = {}
        self._sources: dict[str, str] = {}
        self._list(tokens)

    def _deploy(
        self,
        name: str,
        types: Sequence[str] = (),
        *values: Any,
        libraries: Mapping[str, str] | None = None,
    ) -> str:
        return self.machine.deploy(code(name, libraries), types, values)

    def _deploy_pool(self) -> str:
        plain = ["Borrow", "Bridge", "EMode", "Liquidation", "Pool", "Supply"]
        libraries = {f"{name}Logic": self._deploy(f"{name}Logic") for name in plain}
        flash = self._deploy("FlashLoanLogic", libraries=libraries)
        libraries["FlashLoanLogic"] = flash
        return self._deploy("Pool", ["address"], self._provider, libraries=libraries)

    def _govern(self, to: str, signature: str, *values: Any) -> bytes:
        return self.machine.call(to, calldata(signature, *values))

    def _provided(self, signature: str) -> str:
        return str(decode(["address"], self._govern(self._provider, signature))[0])

    def _list(self, tokens: Mapping[str, int]) -> None:
        """Deploy the tokens, list them with a placeholder strategy, fund and approve."""
        kinds = ("AToken", "StableDebtToken", "VariableDebtToken")
        implementations = [self._deploy(kind, ["address"], self.pool) for kind in kinds]
        strategy = self._deploy_strategy(RateStrategy(10**27 // 2, 0, 0, 0))
        for name, decimals in tokens.items():
            types = ["string", "string", "uint8"]
            token = self._deploy("MintableERC20", types, name, name, decimals)
            self.tokens[name] = token
            names = (name,) * 6
            listed = (*implementations, decimals, strategy, token, TREASURY_ADDRESS, _NOBODY)
            self._govern(self._configurator, _INIT, [(*listed, *names, b"")])
            self.add_price_source(name, token)
            for user in self.users.values():
                self._govern(token, "mint(address,uint256)", user, _WALLET)
                approval = calldata("approve(address,uint256)", self.pool, _MAX)
                self.machine.call(token, approval, sender=user)

    def add_price_source(self, name: str, asset: str) -> None:
        """Give the oracle a source of ours for an asset."""
        source = "0x5c" + asset[2:-2]
        self._sources[name] = self.machine.place(source, _PRICE_SOURCE)
        self._govern(self._oracle, "setAssetSources(address[],address[])", [asset], [source])

    def set_price(self, name: str, price: int) -> None:
        """The oracle's next answer for a token or an e-mode source."""
        self.machine.call(self._sources[name], price.to_bytes(32, "big"))

    def _deploy_strategy(self, strategy: RateStrategy) -> str:
        types = ["address"] + ["uint256"] * 9
        name = "DefaultReserveInterestRateStrategy"
        return self._deploy(name, types, self._provider, *astuple(strategy))

    def add_e_mode(self, category: int, mode: EModeCategory) -> None:
        """Create an e-mode category; with its own price, a source named "e-mode N"."""
        asset = _NOBODY
        if mode.price is not None:
            asset = f"0x{0xE0 + category:02x}" + "33" * 19
            self.add_price_source(f"e-mode {category}", asset)
            self.set_price(f"e-mode {category}", mode.price)
        self._govern(
            self._configurator,
            "setEModeCategory(uint8,uint16,uint16,uint16,address,string)",
            *(category, mode.ltv, mode.liquidation_threshold, mode.liquidation_bonus, asset, ""),
        )

    def set_strategy(self, name: str, strategy: RateStrategy) -> None:
        """Deploy an interest rate strategy and give it to a reserve."""
        shape = "setReserveInterestRateStrategyAddress(address,address)"
        token, address = self.tokens[name], self._deploy_strategy(strategy)
        self._govern(self._configurator, shape, token, address)

    def configure(
        self, name: str, config: ReserveConfig, before: ReserveConfig | None = None
    ) -> None:
        """Change a reserve's parameters from `before` (by default: as listed) to `config`."""
        before = before or ReserveConfig(config.decimals, borrowing_enabled=False)
        token, to = self.tokens[name], self._configurator
        new, old = _terms(config), _terms(before)
        if new != old:
            shape = "configureReserveAsCollateral(address,uint256,uint256,uint256)"
            self._govern(to, shape, token, *new)
        for field, (function, kind) in _SETTERS.items():
            value = getattr(config, field)
            if value != getattr(before, field):
                self._govern(to, f"{function}(address,{kind})", token, value)

    def act(self, user: str, signature: str, *values: Any) -> bytes:
        """A transaction of a user to the Pool."""
        return self.machine.call(self.pool, calldata(signature, *values), sender=self.users[user])

    def account(self, user: str) -> AccountData:
        """Pool.getUserAccountData; raises Revert where the oracle has no price."""
        call = calldata("getUserAccountData(address)", self.users[user])
        return AccountData(*decode(["uint256"] * 6, self.machine.trial(self.pool, call)))

    def reserve(self, name: str) -> ReserveData:
        """A reserve's stored figures."""
        call = calldata("getReserveData(address)", self.tokens[name])
        return ReserveData(*decode(["uint256"] * 12, self.machine.trial(self._data, call)))

    def isolation_debt(self, name: str) -> int:
        """Debt charged to a reserve's ceiling: the last word of Pool.getReserveData."""
        call = calldata("getReserveData(address)", self.tokens[name])
        return int.from_bytes(self.machine.trial(self.pool, call)[-32:], "big")

    def held(self, name: str) -> int:
        """Underlying tokens that lie in a reserve's aToken."""
        call = calldata("getReserveTokensAddresses(address)", self.tokens[name])
        a_token = decode(["address"] * 3, self.machine.trial(self._data, call))[0]
        balance = calldata("balanceOf(address)", a_token)
        return int.from_bytes(self.machine.trial(self.tokens[name], balance), "big")

    def user_reserve(self, user: str, name: str) -> UserReserve:
        """A user's balances in one reserve."""
        owner = self.users.get(user, TREASURY_ADDRESS)
        call = calldata("getUserReserveData(address,address)", self.tokens[name], owner)
        words = decode(["uint256"] * 8 + ["bool"], self.machine.trial(self._data, call))
        return UserReserve(*words)

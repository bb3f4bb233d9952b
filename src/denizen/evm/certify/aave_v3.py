"""Aave v3's engine against the real market of @aave/core-v3: every action, every figure.

Contract: `run` plays random histories on both sides.  A case is an account's data, or everything
one action changed (indices, rates, accruals, balances, amounts seized), or that both refuse it;
`lowest_safe_price` is checked on the contract's own side of the boundary.  Replays by seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import Any

from denizen.evm.abi import calldata
from denizen.evm.certify import aave_v3_draw as draw
from denizen.evm.certify import aave_v3_setup as setup
from denizen.evm.certify.outcome import Contract, OnCase, Outcome, Tally
from denizen.evm.machine import Revert
from denizen.evm.packages import PACKAGES
from denizen.evm.worlds import aave_views as views
from denizen.evm.worlds.aave import World, code
from denizen.evm.worlds.aave_views import ReserveData, UserReserve
from denizen.protocols import MathError, aave_math, aave_v3
from denizen.protocols.aave_math import WAD
from denizen.protocols.aave_v3 import AccountData, Market

STEPS = 40
_Figures = dict[str, int]
_CERTIFIED = (
    "Pool",
    "SupplyLogic",
    "BorrowLogic",
    "LiquidationLogic",
    "EModeLogic",
    "PoolLogic",
    "DefaultReserveInterestRateStrategy",
    "AToken",
    "VariableDebtToken",
    "StableDebtToken",
    "AaveOracle",
)
_MATH = {
    "wadMul(uint256,uint256)": aave_math.wad_mul,
    "wadDiv(uint256,uint256)": aave_math.wad_div,
    "rayMul(uint256,uint256)": aave_math.ray_mul,
    "rayDiv(uint256,uint256)": aave_math.ray_div,
}


def run(cases: int, seed: int, on_case: OnCase = lambda _: None) -> Outcome:
    """At least `cases` comparisons; the same seed gives the same ones."""
    package = PACKAGES["aave-core"]
    contracts = tuple(Contract.of(name, package, code(name)) for name in _CERTIFIED)
    tally = Tally("Aave v3", seed, contracts, on_case)
    world = World(setup.DECIMALS, draw.USERS)
    _arithmetic(world, tally, Random(seed), max(cases // 20, 4))
    episode = 0
    while tally.cases < cases:
        with _undone(world):
            _Episode(world, tally, f"seed {seed} episode {episode}").play(cases)
        episode += 1
    return tally.outcome()


def _arithmetic(world: World, tally: Tally, random: Random, cases: int) -> None:
    """WadRayMath by itself, overflow and division by zero included."""
    wrapper = world.machine.deploy(code("WadRayMathWrapper"))
    for _ in range(cases):
        (signature, ours), (a, b) = (
            random.choice(list(_MATH.items())),
            (random.getrandbits(random.choice((1, 60, 128, 166, 200, 256))) for _ in range(2)),
        )
        expected: int | None
        try:
            expected = ours(a, b)
        except MathError:
            expected = None
        try:
            found = world.machine.trial(wrapper, calldata(signature, a, b))
            theirs = int.from_bytes(found, "big")
        except Revert:
            theirs = None
        tally.compare("wad and ray arithmetic", expected, theirs, f"{signature} {a} {b}")


@contextmanager
def _undone(world: World) -> Iterator[None]:
    """Contract state and time as before."""
    before, timestamp = world.machine.snapshot(), world.machine.timestamp
    try:
        yield
    finally:
        world.machine.revert(before)
        world.machine.warp(timestamp)


class _Episode:
    """One random market and the history played in it, on both sides at once."""

    def __init__(self, world: World, tally: Tally, name: str) -> None:
        self.world, self.tally, self.name, self.step = world, tally, name, 0
        self.random = Random(name)
        self.market: Market = setup.market(self.random, world.machine.timestamp)
        for category, mode in self.market.e_modes.items():
            world.add_e_mode(category, mode)
        for asset, reserve in self.market.reserves.items():
            world.set_strategy(asset, reserve.strategy)
            world.configure(asset, reserve.config)
            world.set_price(asset, self.market.prices[asset])

    def play(self, cases: int) -> None:
        """Deposits, then steps until the history or the number of cases is full."""
        opening = draw.opening(self.random, self.market)
        agree = all([self._act(kind(self.random, self.market, *on)) for kind, *on in opening])
        while agree and self.step < STEPS and self.tally.cases < cases:
            self.step += 1
            self._pass_time()
            if self.random.random() < 0.3:
                self._move_prices(70, 140)
            if self.random.random() < 0.08:
                self._govern()
            agree = self._act(draw.action(self.random, self.market))
            self._accounts("account data")
            if self.step % 3 == 0:
                self._shocks()

    def _pass_time(self) -> None:
        self.market = self.market.at(self.market.timestamp + self.random.choice(setup.PASSING))
        self.world.machine.warp(self.market.timestamp)

    def _govern(self) -> None:
        """Governance changes a reserve in use."""
        asset = self.random.choice(list(self.market.reserves))
        reserve = self.market.reserve(asset)
        config = setup.reconfigured(self.random, reserve.config)
        self.world.configure(asset, config, reserve.config)
        self.market = self.market.with_reserve(asset, replace(reserve, config=config))

    def _move_prices(self, low: int, high: int) -> None:
        """One asset's price, and every e-mode's own, to some per cent."""
        asset = self.random.choice(list(self.market.prices))
        self._set_price(asset, self.market.prices[asset] * self.random.randint(low, high) // 100)
        self._move_e_mode_prices(low, high)

    def _move_e_mode_prices(self, low: int, high: int) -> None:
        for category, mode in self.market.e_modes.items():
            if mode.price is not None:
                price = max(mode.price * self.random.randint(low, high) // 100, 1)
                modes = {**self.market.e_modes, category: replace(mode, price=price)}
                self.market = replace(self.market, e_modes=modes)
                self.world.set_price(f"e-mode {category}", price)

    def _set_price(self, asset: str, price: int) -> None:
        price = max(price, 1)
        self.market = self.market.priced({asset: price})
        self.world.set_price(asset, price)

    def _shocks(self) -> None:
        """What-ifs that are undone: the edge of liquidation, other prices, liquidations."""
        for user in draw.USERS:
            if not self.market.borrowed_assets(user):
                continue
            market = self.market
            with _undone(self.world):
                self._to_the_edge(user)
                self._crash(user)
                self._accounts("account data at other prices")
                for _ in range(3):
                    if self._health(user) >= WAD and self.random.random() < 0.9:
                        break
                    self._act(draw.liquidation_of(self.random, self.market, user))
                self._accounts("account data after liquidations")
            self.market = market

    def _to_the_edge(self, user: str) -> None:
        """The engine's last safe price of one asset must be the contract's."""
        holdings = self.market.holdings(user)
        place, asset = self.random.choice(list(enumerate(holdings)))
        own = self.market.price(asset, self.market.user(user).e_mode)
        if own != self.market.prices[asset]:
            return
        falls = holdings[asset].debt == 0
        try:
            find = aave_v3.lowest_safe_price if falls else aave_v3.highest_safe_price
            edge = find(list(holdings.values()), place)
        except MathError:
            return
        for price, healthy in ((edge, True), (edge - 1 if falls else edge + 1, False)):
            self._set_price(asset, price)
            factor = self.world.account(user).health_factor
            where = f"{self._where()}, {user}'s {asset} at {price}"
            self.tally.compare("liquidation price", healthy, factor >= WAD, where)

    def _crash(self, user: str) -> None:
        """Collateral falls, then debts rise, until the health factor is somewhere below 1."""
        self._move_e_mode_prices(40, 160)
        target = self.random.choice((999, 990, 960, 951, 950, 949, 900, 700, 300)) * WAD // 1000
        for falls in (True, False):
            factor = self._health(user)
            for asset, holding in self.market.holdings(user).items():
                price = self.market.prices[asset]
                if factor > target and falls and not holding.debt:
                    self._set_price(asset, price * target // factor)
                elif factor > target and not falls and not holding.collateral:
                    self._set_price(asset, price * factor // target + 1)

    def _health(self, user: str) -> int:
        """The engine's health factor, and zero where prices overflow."""
        try:
            return self.market.account(user).health_factor
        except MathError:
            return 0

    def _accounts(self, kind: str) -> None:
        for user in draw.USERS:
            ours: AccountData | None
            theirs: AccountData | None
            try:
                ours = self.market.account(user)._replace(has_zero_ltv_collateral=False)
            except MathError:
                ours = None
            try:
                theirs = self.world.account(user)
            except Revert:
                theirs = None
            self.tally.compare(kind, ours, theirs, f"{self._where()}, {user}")

    def _act(self, action: draw.Action) -> bool:
        """Do it on both sides and compare all it can touch; whether they still agree."""
        before = self.market
        isolated = [before.isolation_collateral(user) for user in action.users]
        assets = list(dict.fromkeys([*action.assets, *filter(None, isolated)]))
        ours: _Figures | None = None
        theirs: _Figures | None = None
        # Reading is outside: what cannot be read after an action is no refusal of it.
        try:
            self.market = action.engine(before)
        except MathError:
            pass
        else:
            ours = self._engine_view(assets, action.users)
        try:
            self.world.act(action.user, action.signature, *map(self._address, action.values))
        except Revert:
            pass
        else:
            theirs = self._contract_view(assets, action.users)
        where = f"{self._where()}, {action.user}: {action.signature} {action.values}"
        return self.tally.compare(action.kind, *_differences(ours, theirs), where)

    def _address(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._address(part) for part in value]
        known = {**self.world.tokens, **self.world.users}
        return known.get(value, value) if isinstance(value, str) else value

    def _where(self) -> str:
        return f"{self.name} step {self.step}"

    def _contract_view(self, assets: list[str], users: tuple[str, ...]) -> _Figures:
        world = self.world
        figures: _Figures = {}
        for asset in assets:
            figures |= _named(asset, world.reserve(asset))
            figures[f"{asset} isolation debt"] = world.isolation_debt(asset)
            figures[f"{asset} held"] = world.held(asset)
            for user in users:
                figures |= _named(f"{user}'s {asset}", world.user_reserve(user, asset))
        return figures

    def _engine_view(self, assets: list[str], users: tuple[str, ...]) -> _Figures:
        market = self.market
        figures: _Figures = {}
        for asset in assets:
            figures |= _named(asset, views.reserve_data(market, asset))
            figures[f"{asset} isolation debt"] = market.reserve(asset).isolation_debt
            figures[f"{asset} held"] = market.reserve(asset).available
            for user in users:
                figures |= _named(f"{user}'s {asset}", views.user_reserve(market, user, asset))
        return figures


def _named(owner: str, figures: ReserveData | UserReserve) -> _Figures:
    return {f"{owner} {field}": value for field, value in figures._asdict().items()}


def _differences(
    ours: _Figures | None, theirs: _Figures | None
) -> tuple[_Figures | None, _Figures | None]:
    """Only figures that differ, and at most four, so that a mismatch can be read."""
    if ours is None or theirs is None:
        return ours and {}, theirs and {}
    differing = [name for name in ours if ours[name] != theirs[name]][:4]
    return {name: ours[name] for name in differing}, {name: theirs[name] for name in differing}

"""The state of an Aave v3 market, and what can be read from it without changing it.

Contract: frozen records; an action (aave_v3.py) returns another Market.  Amounts are raw units,
prices the oracle's base currency (8 decimals), times Unix seconds.  Wallets are not modelled:
everybody can pay.  Source: Aave v3 technical paper; @aave/core-v3 1.19.3, Pool.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .aave_math import PERCENTAGE_FACTOR, ray_mul
from .aave_v3_account import AccountData, Holding, account_data
from .aave_v3_reserve import Reserve
from .aave_v3_stable import StableDebt
from .fixed_point import MathError

MAX_INT256 = (1 << 255) - 1
TREASURY = "treasury"


@dataclass(frozen=True)
class EModeCategory:
    """Efficiency mode: LTV, threshold and bonus in basis points; its own price if it has one."""

    ltv: int
    liquidation_threshold: int
    liquidation_bonus: int
    price: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.ltv <= self.liquidation_threshold <= PERCENTAGE_FACTOR:
            raise MathError("0 < LTV <= liquidation threshold <= 100% must hold in an e-mode")
        if self.liquidation_bonus <= PERCENTAGE_FACTOR:
            raise MathError("a liquidation bonus is above 10,000 basis points")


@dataclass(frozen=True)
class Position:
    """What a user has in one reserve: scaled balances, stable debt and the two flags."""

    scaled_supply: int = 0
    scaled_variable_debt: int = 0
    stable_debt: StableDebt = field(default_factory=StableDebt)
    collateral: bool = False
    borrowing: bool = False


@dataclass(frozen=True)
class User:
    """A user's e-mode category (0: none) and positions by asset."""

    e_mode: int = 0
    positions: Mapping[str, Position] = field(default_factory=dict)


@dataclass(frozen=True)
class Market:
    """Reserves, e-mode categories, oracle prices and users at one time."""

    timestamp: int
    reserves: Mapping[str, Reserve]
    prices: Mapping[str, int]
    e_modes: Mapping[int, EModeCategory] = field(default_factory=dict)
    users: Mapping[str, User] = field(default_factory=dict)

    def at(self, timestamp: int) -> Market:
        """The same market later."""
        if timestamp < self.timestamp:
            raise MathError("a market does not go back in time")
        return replace(self, timestamp=timestamp)

    def priced(self, prices: Mapping[str, int]) -> Market:
        """The same market with some prices changed."""
        return replace(self, prices={**self.prices, **prices})

    def reserve(self, asset: str) -> Reserve:
        """A reserve as last stored; MathError if the market does not list the asset."""
        if asset not in self.reserves:
            raise MathError(f"{asset} is not listed in this market")
        return self.reserves[asset]

    def fresh(self, asset: str) -> Reserve:
        """A reserve with indices of now."""
        return self.reserve(asset).updated(self.timestamp)

    def price(self, asset: str, e_mode: int = 0) -> int:
        """The oracle's price, or the category's own for an asset of that category."""
        own = self.e_modes[e_mode].price if e_mode else None
        price = own if own and self.in_e_mode(asset, e_mode) else self.prices.get(asset, 0)
        if not 0 < price <= MAX_INT256:
            raise MathError(f"the oracle has no positive price of {asset}")
        return price

    def in_e_mode(self, asset: str, e_mode: int) -> bool:
        """Whether the asset belongs to the category of a user in e-mode `e_mode`."""
        return e_mode != 0 and self.reserve(asset).config.e_mode_category == e_mode

    def user(self, user: str) -> User:
        """A user's record; empty for one the market has not seen."""
        return self.users.get(user, User())

    def position(self, user: str, asset: str) -> Position:
        """A user's position in one reserve."""
        return self.user(user).positions.get(asset, Position())

    def supplied(self, user: str, asset: str) -> int:
        """aToken balance with interest."""
        income = self.reserve(asset).normalized_income(self.timestamp)
        return ray_mul(self.position(user, asset).scaled_supply, income)

    def variable_debt(self, user: str, asset: str) -> int:
        """Variable debt with interest."""
        debt = self.reserve(asset).normalized_debt(self.timestamp)
        return ray_mul(self.position(user, asset).scaled_variable_debt, debt)

    def stable_debt(self, user: str, asset: str) -> int:
        """Stable debt with interest."""
        return self.position(user, asset).stable_debt.balance(self.timestamp)

    def debt(self, user: str, asset: str) -> int:
        """All debt in one reserve."""
        return self.variable_debt(user, asset) + self.stable_debt(user, asset)

    def holdings(self, user: str) -> dict[str, Holding]:
        """The user's reserves as the health factor sees them, e-mode applied."""
        record = self.user(user)
        return {
            asset: self._holding(user, asset, record.e_mode)
            for asset, position in record.positions.items()
            if position.collateral or position.borrowing
        }

    def account(self, user: str) -> AccountData:
        """Pool.getUserAccountData."""
        return account_data(list(self.holdings(user).values()))

    def isolation_collateral(self, user: str) -> str | None:
        """The asset whose debt ceiling binds the user, if the user is in isolation mode."""
        used = [asset for asset, at in self.user(user).positions.items() if at.collateral]
        if len(used) == 1 and self.reserve(used[0]).config.debt_ceiling:
            return used[0]
        return None

    def borrowed_assets(self, user: str) -> list[str]:
        """Assets the user is flagged as borrowing."""
        return [asset for asset, at in self.user(user).positions.items() if at.borrowing]

    def with_reserve(self, asset: str, reserve: Reserve) -> Market:
        """The market with one reserve replaced."""
        return replace(self, reserves={**self.reserves, asset: reserve})

    def with_position(self, user: str, asset: str, position: Position) -> Market:
        """The market with one position replaced."""
        record = self.user(user)
        return self.with_user(
            user, replace(record, positions={**record.positions, asset: position})
        )

    def with_user(self, user: str, record: User) -> Market:
        """The market with one user's record replaced."""
        return replace(self, users={**self.users, user: record})

    def _holding(self, user: str, asset: str, e_mode: int) -> Holding:
        position, config = self.position(user, asset), self.reserve(asset).config
        ltv, threshold = config.ltv, config.liquidation_threshold
        if self.in_e_mode(asset, e_mode):
            category = self.e_modes[e_mode]
            # What counts for nothing outside e-mode counts for nothing inside it.
            ltv = category.ltv if ltv else 0
            threshold = category.liquidation_threshold if threshold else 0
        return Holding(
            self.supplied(user, asset) if position.collateral else 0,
            self.debt(user, asset) if position.borrowing else 0,
            self.price(asset, e_mode),
            config.decimals,
            ltv,
            threshold,
        )

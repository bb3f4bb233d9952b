"""Tokens by split where pairs of `POOLS` make no sense: pegged coins, vaults, staking tokens.

Contract: within a table no pair (and but for native coins no token) occurs in two splits; figures
are typical rates and sizes, of which a family draws the neighbourhood.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.tasks.types import Split

# (coins at par, least and most of one balance).
GROUPS: dict[Split, tuple[tuple[tuple[str, ...], float, float], ...]] = {
    "train": (
        (("USDT", "PYUSD", "FRAX", "crvUSD", "LUSD", "TUSD", "USDe", "DOLA", "alUSD"), 2e5, 8e7),
        (("USDT", "PYUSD", "FRAX", "crvUSD", "USDe", "MIM"), 2e5, 8e7),
        (("WETH", "frxETH", "alETH", "OETH"), 2e2, 4e4),
        (("WBTC", "cbBTC", "LBTC"), 2e1, 3e3),
    ),
    "dev": (
        (("DAI", "sUSD", "USDP", "USDD", "FDUSD"), 2e5, 8e7),
        (("sETH", "msETH", "pETH"), 2e2, 4e4),
    ),
    "holdout": (
        (("USDC", "GHO", "USDS", "USDG", "mkUSD", "BUSD"), 2e5, 8e7),
        (("ETH", "eETH", "pxETH"), 2e2, 4e4),
    ),
}
# (rebasing, wrapped, pooled token, rate).
WRAPPED: dict[Split, tuple[tuple[str, str, str, str], ...]] = {
    "train": (
        ("stETH", "wstETH", "ETH", "1.206"),
        ("stETH", "wstETH", "ETH", "1.206"),
        ("OETH", "wOETH", "WETH", "1.108"),
    ),
    "dev": (
        ("superOETHb", "wsuperOETHb", "WETH", "1.053"),
        ("aETHb", "aETHc", "ETH", "1.187"),
    ),
    "holdout": (("eETH", "weETH", "ETH", "1.071"),),
}
# (staking token, what it redeems for, redemption value)
LIQUID: dict[Split, tuple[tuple[str, str, str], ...]] = {
    "train": (
        ("stETH", "ETH", "1"),
        ("LsETH", "ETH", "1.084"),
        ("cbETH", "ETH", "1.113"),
        ("mETH", "ETH", "1.069"),
        ("sAVAX", "AVAX", "1.231"),
        ("frxETH", "WETH", "1"),
    ),
    "dev": (("rETH", "ETH", "1.142"), ("MaticX", "MATIC", "1.16"), ("swETH", "ETH", "1.087")),
    "holdout": (
        ("weETH", "ETH", "1.071"),
        ("ezETH", "ETH", "1.052"),
        ("BNBx", "BNB", "1.11"),
        ("osETH", "ETH", "1.044"),
    ),
}
# Stablecoins whose price is asked about.
COINS: dict[Split, tuple[str, ...]] = {
    "train": ("USDT", "FRAX", "USDe", "crvUSD", "TUSD", "LUSD", "PYUSD", "MIM"),
    "dev": ("DAI", "sUSD", "USDP", "FDUSD"),
    "holdout": ("USDC", "GHO", "USDS", "USDG"),
}


def _vaults(*rows: str) -> tuple[tuple[str, str, Decimal], ...]:
    """(asset, share, a large holding of the asset)."""
    parts = (row.split() for row in rows)
    return tuple((asset, share, Decimal(large)) for asset, share, large in parts)


VAULTS: dict[Split, tuple[tuple[str, str, Decimal], ...]] = {
    "train": _vaults(
        "USDT bbqUSDT 40000000",
        "PYUSD smPYUSD 20000000",
        "crvUSD scrvUSD 30000000",
        "USDe sUSDe 90000000",
        "frxETH sfrxETH 40000",
        "WETH gtWETH 9000",
        "DOLA sDOLA 20000000",
        "WBTC mcWBTC 600",
    ),
    "dev": _vaults("DAI sDAI 60000000", "FRAX sFRAX 20000000", "pxETH apxETH 15000"),
    "holdout": _vaults(
        "USDC steakUSDC 50000000",
        "USDS sUSDS 90000000",
        "GHO stkGHO 20000000",
        "ETH rswETH 9000",
    ),
}

// SPDX-License-Identifier: Apache-2.0
// What the pinned abstract ERC4626 needs to become vaults one can call.
pragma solidity ^0.8.24;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

contract Asset is ERC20("Asset", "ASSET") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// The library's vault as it is, with the decimals offset chosen at deployment.
contract Vault is ERC4626 {
    uint8 private immutable offset;

    constructor(IERC20 asset_, uint8 offset_) ERC20("Vault", "VAULT") ERC4626(asset_) {
        offset = offset_;
    }

    function _decimalsOffset() internal view override returns (uint8) {
        return offset;
    }
}

/// Without virtual shares: one for one while empty, then the plain proportion.
contract PlainVault is ERC4626 {
    using Math for uint256;

    constructor(IERC20 asset_) ERC20("Plain", "PLAIN") ERC4626(asset_) {}

    function _convertToShares(uint256 assets, Math.Rounding rounding) internal view override returns (uint256) {
        uint256 supply = totalSupply();
        return supply == 0 ? assets : assets.mulDiv(supply, totalAssets(), rounding);
    }

    function _convertToAssets(uint256 shares, Math.Rounding rounding) internal view override returns (uint256) {
        uint256 supply = totalSupply();
        return supply == 0 ? shares : shares.mulDiv(totalAssets(), supply, rounding);
    }
}

/// Entry and exit fees in basis points of the amount that enters or leaves the shares' backing,
/// rounded up and paid out to a recipient.
contract FeeVault is Vault {
    using Math for uint256;

    uint256 private constant BASE = 10_000;
    uint256 private immutable entry;
    uint256 private immutable exit;
    address private immutable recipient;

    constructor(IERC20 asset_, uint8 offset_, uint256 entry_, uint256 exit_, address to) Vault(asset_, offset_) {
        (entry, exit, recipient) = (entry_, exit_, to);
    }

    function previewDeposit(uint256 assets) public view override returns (uint256) {
        return super.previewDeposit(assets - _within(assets, entry));
    }

    function previewMint(uint256 shares) public view override returns (uint256) {
        uint256 net = super.previewMint(shares);
        return net + _onTop(net, entry);
    }

    function previewWithdraw(uint256 assets) public view override returns (uint256) {
        return super.previewWithdraw(assets + _onTop(assets, exit));
    }

    function previewRedeem(uint256 shares) public view override returns (uint256) {
        uint256 gross = super.previewRedeem(shares);
        return gross - _within(gross, exit);
    }

    function _deposit(address caller, address receiver, uint256 assets, uint256 shares) internal override {
        super._deposit(caller, receiver, assets, shares);
        _pay(_within(assets, entry));
    }

    function _withdraw(address caller, address receiver, address owner, uint256 assets, uint256 shares)
        internal
        override
    {
        super._withdraw(caller, receiver, owner, assets, shares);
        _pay(_onTop(assets, exit));
    }

    function _pay(uint256 fee) private {
        if (fee > 0) SafeERC20.safeTransfer(IERC20(asset()), recipient, fee);
    }

    /// The fee that comes on top of a net amount.
    function _onTop(uint256 net, uint256 rate) private pure returns (uint256) {
        return net.mulDiv(rate, BASE, Math.Rounding.Ceil);
    }

    /// The fee that a total contains.
    function _within(uint256 total, uint256 rate) private pure returns (uint256) {
        return total.mulDiv(rate, BASE + rate, Math.Rounding.Ceil);
    }
}

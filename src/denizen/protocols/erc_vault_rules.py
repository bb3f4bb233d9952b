"""Rules of the vault and account standards: ERC-4626 and ERC-4337, as text tables.

Two lines a rule: `key | subject | level | section | words of the sentence | its word for the level`
(the last one where the standard does not use the RFC 2119 word itself), then our statement.
Source: the ERC documents, CC0.
"""

from __future__ import annotations

ERC4626 = """
erc20_interface | balanceOf | MUST | Specification | Vaults implement EIP-20 shares
    Shares are an ERC-20 token.
nontransferable_shares | transfer | MAY | Specification | non-transferrable revert
    A vault whose shares cannot be moved may let transfers fail.
metadata_functions | name | MUST | Specification | implement optional metadata extensions
    name, symbol and decimals are there, though ERC-20 leaves them open.
share_name | name | SHOULD | Specification | reflect underlying token's `name`
    The share's name and symbol show those of the underlying token.
permit | permit | MAY | Specification | implement [EIP-2612]
    Shares may be approved by signature.
asset_erc20 | asset | MUST | asset | EIP-20 token contract
    The underlying asset is an ERC-20.
total_compounding | totalAssets | SHOULD | totalAssets | compounding yield
    totalAssets counts yield that compounds.
total_fees | totalAssets | MUST | totalAssets | inclusive fees charged
    totalAssets counts the fees charged against the vault's assets.
convert_fees | convertToShares | MUST NOT | convertToShares | inclusive fees
    The convert functions leave fees out.
convert_caller | convertToShares | MUST NOT | convertToShares | variations caller
    The convert functions tell everybody the same.
convert_slippage | convertToAssets | MUST NOT | convertToAssets | reflect slippage
    The convert functions leave slippage out.
convert_round_down | convertToShares | MUST | convertToShares | round down
    The convert functions round down.
max_overstated | maxDeposit | MUST NOT | maxDeposit | higher actual maximum
    A limit is never told higher than what would be taken.
max_user_balance | maxDeposit | MUST NOT | maxDeposit | rely `balanceOf`
    maxDeposit takes no account of how much the user owns.
max_user_limits | maxDeposit | MUST | maxDeposit | factor global user-specific
    Limits of the vault and of the user both count.
max_when_disabled | maxDeposit | MUST | maxDeposit | disabled return 0
    While deposits are off, maxDeposit is zero.
max_unlimited | maxDeposit | MUST | maxDeposit | `2 256 - 1` no limit
    Without a limit maxDeposit is the largest 256-bit number.
max_revert | maxWithdraw | MUST NOT | maxWithdraw | revert.
    The max functions never fail.
preview_fees | previewDeposit | MUST | previewDeposit | inclusive deposit fees
    The previews count fees.
preview_limits | previewDeposit | MUST NOT | previewDeposit | account deposit limits
    The previews take no account of limits.
preview_limit_revert | previewWithdraw | MUST NOT | previewWithdraw | revert user/global limits
    The previews do not fail because of the vault's limits.
preview_deposit_overstated | previewDeposit | MUST | previewDeposit | close no more exact
    previewDeposit is never above the shares that the deposit gives.
preview_withdraw_understated | previewWithdraw | MUST | previewWithdraw | close no fewer exact
    previewWithdraw is never below the shares that the withdrawal burns.
deposit_event | Deposit | MUST | deposit | emit `Deposit`
    deposit emits Deposit.
deposit_pull | deposit | MUST | deposit | support `approve` `transferFrom`
    A deposit can draw approved assets from the caller.
deposit_prefunded | deposit | MAY | deposit | additional flow owned before
    A deposit may use assets that were sent to the vault beforehand.
deposit_partial | deposit | MUST | deposit | revert all cannot deposited
    A deposit that cannot be taken in full fails.
withdraw_approved | withdraw | MUST | withdraw | burned `msg.sender` EIP-20 approval
    Whoever has an allowance of the owner's shares can withdraw for him.
withdraw_allowance_check | withdraw | SHOULD | withdraw | check spend owner funds
    withdraw checks the caller's allowance of the owner's shares.
withdraw_partial | withdraw | MUST | withdraw | revert all cannot withdrawn
    A withdrawal that cannot be paid in full fails.
"""

ERC4337 = """
signature_domain | signature | MUST | The `UserOperation` structure | `signature` depend `chainid`
    A signature holds for one chain and one EntryPoint only.
account_caller | validateUserOp | MUST | Smart Contract Account Interface | validate caller trusted
    validateUserOp checks that a trusted EntryPoint calls it.
account_signature | validateUserOp | MUST | Smart Contract Account Interface | signature valid hash`
    validateUserOp checks the signature of the operation's hash.
signature_mismatch_code | validateUserOp | SHOULD | Smart Contract Account Interface | mismatch
    A wrong signature gives SIG_VALIDATION_FAILED and no revert.
other_error_revert | validateUserOp | MUST | Smart Contract Account Interface | Any other error
    Any failure of validation but a wrong signature reverts.
early_return | validateUserOp | SHOULD NOT | Smart Contract Account Interface | early | SHOULD not
    validateUserOp does not cut its work short after a wrong signature.
pay_missing_funds | validateUserOp | MUST | Smart Contract Account Interface | pay least
    The account pays the EntryPoint what is missing for the fee.
execute_user_op | executeUserOp | MAY | Smart Contract Account Interface | `IAccountExecute`
    An account may offer executeUserOp.
nonce_first | getNonce | SHOULD | Reading and validating the nonce | start `getNonce`
    A bundler's validation begins with the nonce.
reject_invalid_op | handleOps | MUST | Required `EntryPoint` contract functionality | reject fails
    A bundler keeps an operation that fails validation out of its mempool.
drop_reverting_op | handleOps | MUST | Simulation Specification: | drop simulation reverts
    A bundler drops an operation whose simulation reverts.
drop_expiring_op | validUntil | MUST | Simulation Specification: | drop expires soon
    A bundler drops an operation that will expire before the next block.
gas_slack | preVerificationGas | MUST | Estimating `preVerificationGas` | slack
    A bundler asks for some preVerificationGas to spare.
factory_caller | createAccount | MUST | Factory contracts | check calls `createAccount()`
    A factory checks that the EntryPoint's sender creator calls it.
paymaster_caller | postOp | MUST | Paymasters contracts | check calls `postOp()`
    A paymaster checks that the EntryPoint calls it.
aggregator_caller | validateSignatures | MUST | Aggregator contracts | check calls
    An aggregator checks that the EntryPoint calls it.
repeated_init_code | initCode | SHOULD NOT | EIP-7702 delegated Smart Contract Accounts | repeatedly
    A wallet does not hand over initCode again and again.
transient_cleanup | transient storage | MUST | Transient Storage | cleaned sensitive
    Sensitive transient storage is cleared by hand.
"""

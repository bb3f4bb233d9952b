"""Rules of the token standards: ERC-20, ERC-721, ERC-1155, ERC-2612 and ERC-3643, as text tables.

Two lines a rule: `key | subject | level | section | words of the sentence | its word for the level`
(the last one where the standard does not use the RFC 2119 word itself), then our statement.
Source: the ERC documents, CC0.
"""

from __future__ import annotations

ERC20 = """
zero_value_transfer | transfer | MUST | transfer | Transfers 0 values treated normal
    A transfer of zero tokens is carried out and announced like any other.
transfer_event | Transfer | MUST | transfer | fire `Transfer` event
    Moving tokens is announced by the Transfer event.
balance_revert | transfer | SHOULD | transfer | throw caller's balance enough
    A transfer beyond the sender's balance fails.
authorised_sender | transferFrom | SHOULD | transferFrom | throw unless authorized
    transferFrom fails unless the holder has authorised the caller in some way.
zero_address_recipient | transfer | not required | Specification | zero address
    Nothing is said about rejecting transfers to the zero address.
receiver_hook | transfer | not required | Specification | Received
    No callback to a receiving contract exists.
mint_event | Transfer | SHOULD | Transfer | creates tokens `0x0`
    New tokens are announced by a Transfer event from address zero.
approval_event | Approval | MUST | Approval | trigger successful `approve(address
    Every successful approve is announced by the Approval event.
metadata_functions | name | MAY | name | OPTIONAL usability | OPTIONAL
    name, symbol and decimals may be left out.
expect_metadata | name | MUST NOT | name | expect values present
    Other contracts and interfaces do not count on name, symbol or decimals being there.
handle_false | transfer | MUST | Methods | handle `false`
    Callers deal with a return value of false.
assume_no_false | transfer | MUST NOT | Methods | assume `false` never
    Callers do not take it for granted that false never comes back.
allowance_zero_first | approve | SHOULD | approve | clients allowance first `0`
    User interfaces set an allowance to zero before they set another value.
allowance_zero_enforced | approve | SHOULD NOT | approve | contract itself enforce | shouldn't
    The token contract does not itself force an allowance through zero.
interface_detection | supportsInterface | not required | Specification | supportsInterface
    ERC-165 is not part of the standard.
permit | permit | not required | Specification | permit
    Approvals by signature are not part of the standard.
mint_and_burn | mint | not required | Specification | burn
    No functions for creating or destroying tokens are defined.
batch_transfers | transfer | not required | Specification | batch
    No batch transfer is defined.
pausing | pause | not required | Specification | pause
    Being able to pause the token is not asked for.
"""

ERC721 = """
transfer_event | Transfer | MUST | Specification | emits ownership any NFT changes | emits
    Any change of an NFT's owner is announced by Transfer.
mint_event | Transfer | MUST | Specification | emits NFTs created `from` | emits
    Creation is announced by Transfer from address zero (but for those made in the constructor).
burn_event | Transfer | MUST | Specification | emits NFTs destroyed `to` | emits
    Destruction is announced by Transfer to address zero.
approval_event | Approval | MUST | Specification | emits approved address changed | emits
    A changed approval of an NFT is announced by Approval.
authorised_sender | transferFrom | MUST | Specification | Throws unless owner approved | Throws
    A transfer fails unless the caller is the owner, an operator or approved for that NFT.
zero_address_recipient | transferFrom | MUST | Specification | Throws `_to` zero address | Throws
    A transfer to the zero address fails.
receiver_hook | safeTransferFrom | MUST | Specification | calls `onERC721Received` `_to` | calls
    A safe transfer calls onERC721Received if the recipient is a contract.
hook_wrong_value | onERC721Received | MUST | Specification | other magic value reverted
    Any answer of the hook but the magic value undoes the transaction.
receiver_reject | onERC721Received | MAY | Specification | throw revert reject transfer
    A receiving contract may throw so as to refuse the NFT.
receiver_interface | onERC721Received | MUST | Specification | application wallet interface safe
    An application that takes safe transfers implements the receiver interface.
several_operators | setApprovalForAll | MUST | Specification | allow multiple operators
    An owner can have several operators at once.
operator_event | ApprovalForAll | MUST | Specification | Emits ApprovalForAll event | Emits
    Enabling or disabling an operator is announced by ApprovalForAll.
metadata_functions | name | MAY | Specification | metadata extension OPTIONAL | OPTIONAL
    name, symbol and tokenURI form an extension that may be left out.
enumeration | tokenByIndex | MAY | Specification | enumeration extension OPTIONAL | OPTIONAL
    Listing all tokens is an extension that may be left out.
interface_detection | supportsInterface | MUST | Specification | must implement `ERC165` | must
    ERC-165 interface detection is implemented.
token_id_change | tokenId | MUST NOT | Rationale | identifying number change | SHALL NOT
    An NFT's id never changes.
id_pattern | tokenId | MUST NOT | Rationale | callers assume pattern | SHALL NOT
    Callers read no pattern, such as a count from zero, into ids.
extra_failures | transferFrom | MAY | Rationale | implementation throw other situations
    Transfers may also fail for reasons of the implementation's own, such as a pause.
mint_and_burn | mint | not required | Rationale | minting burning specification | not included
    Functions for creating and destroying NFTs are left to the implementation.
batch_transfers | transferFrom | not required | Specification | batch
    No batch transfer is defined.
permit | permit | not required | Specification | permit
    Approvals by signature are not part of the standard.
pausing | pause | not required | Specification | paused
    Being able to pause is not asked for, though transfers may be refused.
"""

ERC1155 = """
zero_value_transfer | TransferSingle | MUST | Specification | emit transferred zero value
    A transfer of zero units is announced like any other.
transfer_event | TransferSingle | MUST | Specification | `TransferSingle` `TransferBatch` emit
    Moving tokens is announced by TransferSingle or TransferBatch.
mint_event | TransferSingle | MUST | Specification | minting/creating `_from` `0x0`
    The event of a mint names address zero as the sender.
burn_event | TransferSingle | MUST | Specification | burning/destroying `_to` `0x0`
    The event of a burn names address zero as the recipient.
balance_revert | safeTransferFrom | MUST | Rules | revert balance `_id` lower `_value`
    A transfer beyond the holder's balance fails.
zero_address_recipient | safeTransferFrom | MUST | Rules | revert `_to` zero address
    A transfer to the zero address fails.
authorised_sender | safeTransferFrom | MUST | Rules | Caller approved `_from` | must
    A transfer fails unless the caller may manage the holder's tokens.
receiver_hook | onERC1155Received | MUST | Rules | If so call `onERC1155Received` `_to`
    A safe transfer calls the receiver hook if the recipient is a contract.
hook_wrong_value | onERC1155Received | MUST | Rules | return anything other reverted
    Any answer of the hook but the magic value undoes the transaction.
receiver_reject | onERC1155Received | MAY | Rules | recipient reject calling revert
    A receiving contract may revert so as to refuse the tokens.
receiver_interface | ERC1155TokenReceiver | MUST | ERC-1155 Token Receiver | implement accept
    A contract that takes transfers implements the receiver interface.
hook_on_eoa | onERC1155Received | MUST NOT | Scenarios | called EOA
    The hooks are not called on an account without code.
balances_before_hook | onERC1155Received | MUST | Scenarios | balances updated before
    Balances have been changed by the time the hook runs.
single_event | TransferSingle | SHOULD | Rules | `TransferSingle` indicate single balance
    One balance change is told by TransferSingle.
single_hook | onERC1155Received | SHOULD | Scenarios | `onERC1155Received` hook recipient
    For one balance change the single hook is the one that is called.
hook_to_itself | onERC1155Received | MAY | Rules | skip `onERC1155Received` itself
    The hook may be left out when the contract sends tokens to itself.
data_unaltered | onERC1155Received | MUST | Rules | `_data` passed unaltered
    The sender's data reach the hook without change.
batch_length | safeBatchTransferFrom | MUST | Rules | revert length `_ids` same
    A batch whose lists differ in length fails.
batch_order | safeBatchTransferFrom | MUST | Rules | occur array order submitted
    Balance changes and events of a batch follow the order of its lists.
batch_transfers | safeBatchTransferFrom | MUST | Specification | implement all functions `ERC1155`
    All functions of the interface are implemented, the batch transfer among them.
operator_event | ApprovalForAll | MUST | Specification | emit ApprovalForAll success
    Enabling or disabling an operator is announced by ApprovalForAll.
self_approval | setApprovalForAll | SHOULD NOT | Approval | `setApprovalForAll` themselves operator
    Owners need not approve themselves as operators.
interface_detection | supportsInterface | MUST | Specification | `supportsInterface` `0xd9b67a26`
    ERC-165 interface detection is implemented.
receiver_gas | supportsInterface | MUST NOT | Rules | consume 10,000 gas
    A receiver's supportsInterface stays within 10,000 gas.
custom_to_non_receiver | safeTransferFrom | MAY | Rules | non-standard implementation proceed
    A transfer function of one's own may send to a contract without the hooks.
uri_event | URI | MUST | Specification | emit URI updated
    A changed URI is announced by the URI event.
uri_existence_check | uri | MUST NOT | Metadata Extensions | `uri` existence
    The uri function does not serve to find out whether a token exists.
uri_id_substitution | uri | MUST | Metadata | clients replace hexadecimal
    Clients put the token id, in hexadecimal, in place of {id}.
"""

ERC2612 = """
erc20_interface | permit | MUST | Specification | implement 3 functions addition | must
    The token is an ERC-20 with three functions more.
permit | permit | MUST | Specification | implement 3 functions | must
    permit, nonces and DOMAIN_SEPARATOR are implemented.
permit_invalid | permit | MUST | Specification | conditions not met `permit` revert | must
    A permit whose conditions are not met fails.
domain_unique | DOMAIN_SEPARATOR | SHOULD | Specification | `DOMAIN_SEPARATOR` unique | should
    The domain separator belongs to this contract and chain alone.
permit_nonce | nonces | MUST | Specification | set increment `nonces[owner]` | will
    A permit that is used raises the owner's nonce by one.
permit_approval_event | Approval | MUST | Specification | emit `Approval` event | will
    A permit is announced by the Approval event.
permit_any_caller | permit | MUST | Specification | caller `permit` | can be any address
    Anybody can hand in a signed permit, not the owner alone.
"""

ERC3643 = """
erc20_interface | transfer | MUST | Specification | ERC-20 compatible
    The token is compatible with ERC-20.
onchain_identity | isVerified | MUST | Specification | onchain Identity
    The token is used together with an on-chain identity system.
transfer_precheck | canTransfer | MUST | Specification | pre-check transfer pass
    Whether a transfer will go through can be asked beforehand.
wallet_recovery | recoveryAddress | MUST | Specification | recovery private key
    Tokens of an investor who lost the key can be recovered.
freezing | freezePartialTokens | MUST | Specification | freeze wallet partially totally
    Tokens in a wallet can be frozen, in part or in whole.
pausing | pause | MUST | Specification | possibility pause
    The token can be paused.
mint_and_burn | mint | MUST | Specification | mint burn tokens
    Tokens can be created and destroyed.
agent_role | addAgent | MUST | Specification | Agent role Owner
    There are an agent role and an owner role.
forced_transfer | forcedTransfer | MUST | Specification | force transfers Agent
    An agent can force a transfer.
batch_transfers | batchTransfer | MUST | Specification | transactions batch
    Transactions can be issued in batches.
free_balance | transfer | MUST | Transfer | sender free balance
    The sender has enough balance that is not frozen.
receiver_verified | transfer | MUST | Transfer | receiver whitelisted verified
    The receiver is registered and verified.
frozen_sender | transfer | MUST NOT | Transfer | sender's wallet frozen
    The sender's wallet is not frozen.
frozen_receiver | transfer | MUST NOT | Transfer | receiver's wallet frozen
    The receiver's wallet is not frozen.
paused_transfer | transfer | MUST NOT | Transfer | token paused
    The token is not paused while it is transferred.
compliance_contract | canTransfer | MUST | Transfer | respect rules Compliance
    A transfer obeys the rules of the compliance contract.
"""

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IPaymentRouter} from "./interfaces/IPaymentRouter.sol";

/// @title What the owner of a router decides: who signs orders, which plug-ins take part, and
///        whether anything is paid at all.
/// @notice None of it moves a token, and none of it changes an order in a payer's hands.
abstract contract RouterAccess is IPaymentRouter, Ownable2Step {
    /// @dev One mapping for both kinds: an address is one of them, never both.
    enum PlugIn {
        None,
        Collector,
        Rail
    }

    /// @dev One storage slot, so that an order of the newest signer is paid with one cold read
    ///      (2,100 gas) less than of an older one.
    struct Gate {
        bool paused;
        address newestSigner;
    }

    Gate internal _gate;
    mapping(address account => bool) private _isOlderSigner;
    mapping(address account => PlugIn) private _plugIns;

    /// @inheritdoc IPaymentRouter
    function addSigner(address signer) external onlyOwner {
        _addSigner(signer);
    }

    /// @inheritdoc IPaymentRouter
    function removeSigner(address signer) external onlyOwner {
        require(isSigner(signer), SignerUnknown(signer));
        if (signer == _gate.newestSigner) _gate.newestSigner = address(0);
        else _isOlderSigner[signer] = false;
        emit SignerRemoved(signer);
    }

    /// @inheritdoc IPaymentRouter
    function addCollector(address collector) external onlyOwner {
        _addPlugIn(collector, PlugIn.Collector);
        emit CollectorAdded(collector);
    }

    /// @inheritdoc IPaymentRouter
    function removeCollector(address collector) external onlyOwner {
        require(isCollector(collector), CollectorUnknown(collector));
        _plugIns[collector] = PlugIn.None;
        emit CollectorRemoved(collector);
    }

    /// @inheritdoc IPaymentRouter
    function addRail(address rail) external onlyOwner {
        _addPlugIn(rail, PlugIn.Rail);
        emit RailAdded(rail);
    }

    /// @inheritdoc IPaymentRouter
    function removeRail(address rail) external onlyOwner {
        require(isRail(rail), RailUnknown(rail));
        _plugIns[rail] = PlugIn.None;
        emit RailRemoved(rail);
    }

    /// @inheritdoc IPaymentRouter
    function pause() external onlyOwner {
        _gate.paused = true;
        emit Paused(msg.sender);
    }

    /// @inheritdoc IPaymentRouter
    function unpause() external onlyOwner {
        _gate.paused = false;
        emit Unpaused(msg.sender);
    }

    /// @inheritdoc IPaymentRouter
    function paused() external view returns (bool) {
        return _gate.paused;
    }

    /// @notice Always refused, see `OwnershipNotRenounceable`.
    function renounceOwnership() public pure override {
        revert OwnershipNotRenounceable();
    }

    /// @inheritdoc IPaymentRouter
    function isSigner(address account) public view returns (bool) {
        return _isSigner(account, _gate.newestSigner);
    }

    /// @inheritdoc IPaymentRouter
    function isCollector(address account) public view returns (bool) {
        return _plugIns[account] == PlugIn.Collector;
    }

    /// @inheritdoc IPaymentRouter
    function isRail(address account) public view returns (bool) {
        return _plugIns[account] == PlugIn.Rail;
    }

    function _addSigner(address signer) internal {
        require(signer != address(0) && !isSigner(signer), SignerNotAddable(signer));
        address previous = _gate.newestSigner;
        if (previous != address(0)) _isOlderSigner[previous] = true;
        _gate.newestSigner = signer;
        emit SignerAdded(signer);
    }

    /// @param newest The newest signer, for callers that have read it already.
    function _isSigner(address account, address newest) internal view returns (bool) {
        return account != address(0) && (account == newest || _isOlderSigner[account]);
    }

    function _addPlugIn(address account, PlugIn kind) private {
        require(
            account.code.length != 0 && _plugIns[account] == PlugIn.None, PlugInNotAddable(account)
        );
        _plugIns[account] = kind;
    }
}

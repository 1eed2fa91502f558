// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITokenCollector} from "../interfaces/ITokenCollector.sol";

/// @title A collector that obeys one router for ever.
abstract contract RouterServant is ITokenCollector {
    /// @notice The only contract that may collect.
    address public immutable router;

    modifier onlyRouter() {
        require(msg.sender == router, NotTheRouter(msg.sender));
        _;
    }

    constructor(address router_) {
        router = router_;
    }
}

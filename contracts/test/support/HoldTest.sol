// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IHoldRail} from "../../src/interfaces/IHoldRail.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {RailTest} from "./RailTest.sol";

/// @notice `HoldRail` with the constants that the interface leaves out.
interface IHolds is IHoldRail {
    function MAX_FEE_PPM() external view returns (uint256);
    function MAX_HOLD() external view returns (uint256);
}

/// @notice A hold rail and an order of 100.00 with 0.3 % of fee, captured within a day.
abstract contract HoldTest is RailTest {
    uint256 internal constant CAPTURE_BEFORE = NOW + 1 days;
    uint256 internal constant FEE_PPM = 3000;
    bytes32 internal constant SESSION = keccak256("session");

    address internal operator = named("operator");
    IHolds internal rail;

    function setUp() public virtual override {
        super.setUp();
        rail = IHolds(vm.deployCode("HoldRail.sol:HoldRail", abi.encode(address(router))));
        allow(address(rail));
    }

    function holding(address token)
        internal
        view
        returns (IPaymentRouter.RoutedOrder memory order)
    {
        order = routedOrder(
            address(rail),
            token,
            HOME_CHAIN,
            token,
            99_700_000,
            abi.encode(CAPTURE_BEFORE, FEE_PPM, feeReceiver, operator)
        );
        order.feeAmount = 0;
    }

    function authorize(address token) internal {
        route(holding(token));
    }

    function feeOf(uint256 amount) internal pure returns (uint256) {
        return (amount * FEE_PPM + 999_999) / 1_000_000;
    }

    function remaining() internal view returns (uint256) {
        return rail.holds(SESSION).remaining;
    }

    /// @dev What must be true of a hold that is over.
    function isOver(address token) internal view {
        vm.assertEq(rail.holds(SESSION).open, false, "open");
        vm.assertEq(remaining(), 0, "remaining");
        vm.assertEq(rail.owed(token), 0, "owed");
        vm.assertEq(balance(token, address(rail)), 0, "rail");
    }

    function nothingHeld() internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IHoldRail.NothingHeld.selector, SESSION);
    }

    function notMerchantSide(address account) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IHoldRail.NotMerchantOrOperator.selector, account);
    }
}

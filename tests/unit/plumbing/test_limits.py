from __future__ import annotations

import sys

from gstable_server.plumbing.limits import RateLimiter, address_subject


class Ticker:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_the_rate() -> None:
    ticker = Ticker()
    limiter = RateLimiter(10, 5, monotonic=ticker)
    assert [limiter.take("a") for _ in range(6)] == [None] * 5 + [1]
    ticker.now += 0.1
    assert limiter.take("a") is None
    assert limiter.take("a") == 1
    ticker.now += 100
    assert [limiter.take("a") for _ in range(6)] == [None] * 5 + [1]


def test_over_time_no_more_than_burst_and_rate_pass() -> None:
    ticker = Ticker()
    limiter = RateLimiter(100, 200, monotonic=ticker)
    passed = 0
    for _ in range(10_000):
        ticker.now += 0.001
        passed += limiter.take("key") is None
    assert 1199 <= passed <= 1201


def test_subjects_do_not_share() -> None:
    limiter = RateLimiter(1, 1, monotonic=Ticker())
    assert limiter.take("a") is None
    assert limiter.take("a") == 1
    assert limiter.take("b") is None


def test_a_refused_act_costs_nothing_and_the_wait_is_enough() -> None:
    ticker = Ticker()
    limiter = RateLimiter(1, 1, monotonic=ticker)
    limiter.take("a")
    for _ in range(50):
        assert limiter.take("a") == 1
    assert limiter.wait("a") == 1
    ticker.now += 1
    assert limiter.wait("a") is None
    assert limiter.take("a") is None


def test_memory_is_bounded_and_the_latest_are_remembered() -> None:
    ticker = Ticker()
    limiter = RateLimiter(1, 1, monotonic=ticker, subjects_max=100)
    for number in range(10_000):
        limiter.take(f"address {number}")
        ticker.now += 0.005
    assert len(limiter._full_at) <= 100
    assert sys.getsizeof(limiter._full_at) < 50_000
    assert limiter.take(f"address {9_999}") == 1


def test_an_ipv6_customer_is_one_subject() -> None:
    assert address_subject("2001:db8:1:2:aaaa::1") == address_subject("2001:db8:1:2::ffff")
    assert address_subject("2001:db8:1:2::1") != address_subject("2001:db8:1:3::1")
    assert address_subject("::ffff:192.0.2.1") == "192.0.2.1" == address_subject("192.0.2.1")
    assert address_subject("not:an:address") == "not:an:address"
    assert address_subject("") == ""

"""Nothing that the package offers is left out of the list that drives the tests."""

import typing

import oracle
import registry

from localgd import engines, methods, running


def test_every_engine_is_listed():
    assert set(registry.ENGINES) == set(engines.ENGINES)


def test_every_loss_is_listed_and_has_an_oracle():
    assert set(registry.LOSSES) == set(running.LOSSES) == set(oracle.LOSSES)


def test_every_dtype_is_listed():
    assert set(registry.DTYPES) == set(registry.TOLERANCE) == set(running.DTYPES)


def test_every_method_is_listed():
    assert {case.type for case in registry.METHODS} == set(typing.get_args(methods.Method))

"""References take one BLAS thread, and leave the setting of the process as it was."""

import threading

import numpy as np
import pytest
import scipy.linalg  # noqa: F401  # whose BLAS is another one
from threadpoolctl import threadpool_info, threadpool_limits

import localgd as lg
from localgd.blas import one_blas_thread


def threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture
def several():
    with threadpool_limits(3, "blas"):
        if threads() != {3}:
            pytest.skip("this BLAS has one thread")
        yield


@pytest.mark.usefixtures("several")
def test_the_setting_is_restored():
    seen = []

    def other():
        with one_blas_thread():
            seen.append(threads())

    worker = threading.Thread(target=other)
    worker.start()
    worker.join()
    assert seen == [{3}]  # of the process: another thread leaves it alone
    with one_blas_thread():
        with one_blas_thread():
            assert threads() == {1}
        assert threads() == {1}
    assert threads() == {3}
    with pytest.raises(ZeroDivisionError), one_blas_thread():
        _ = 1 / 0
    assert threads() == {3}


@pytest.mark.usefixtures("several")
def test_references_have_the_bits_of_one_thread():
    rng = np.random.default_rng(0)
    problem = lg.Problem([(rng.standard_normal((300, 200)), rng.integers(0, 2, 300))])
    seen = []
    original = lg.reference._minimizer.minimise_regularised

    def watched(*args, **options):
        seen.append(threads())
        return original(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lg.reference._minimizer, "minimise_regularised", watched)
        several = lg.reference.minimizer(problem, loss="logistic", l2=1e-3)
    with threadpool_limits(1, "blas"):
        alone = lg.reference.minimizer(problem, loss="logistic", l2=1e-3)
    np.testing.assert_array_equal(several.weights, alone.weights)
    assert seen == [{1}]
    assert threads() == {3}

"""A run that is stopped and taken up again is the run that was never stopped, bit for bit."""

import numpy as np
import pytest
import registry

import localgd as lg
from localgd import checkpointing


def settings(engine="gram", dtype="float64", **changes):
    return {
        "rounds": 200,
        "engine": engine,
        "dtype": dtype,
        "init": np.linspace(-1, 1, 30),
        "reference": np.arange(1.0, 31.0),
        **changes,
    }


METHOD = lg.LocalGD(local_steps=4, lr=lg.Polynomial(0.6, 0.2))


def stop_at(round):
    def progress(now):
        if now >= round:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize(("engine", "dtype"), registry.engine_cases())
def test_continued_run_equals_one_that_was_never_stopped(small_problem, tmp_path, engine, dtype):
    """In three parts; 70 and 150 are not rounds that the whole run records."""
    whole = lg.run(small_problem, METHOD, **settings(engine, dtype))
    file = tmp_path / "run.ckpt"
    for rounds in (70, 150, 200):
        part = lg.run(
            small_problem, METHOD, checkpoint=file, **settings(engine, dtype, rounds=rounds)
        )
        assert (part.status, part.round, part.history["round"][-1]) == ("completed", rounds, rounds)
    registry.assert_same_bits(part, whole)
    assert whole.history["round"].tolist()[-2:] == [158, 200]


@pytest.mark.parametrize("case", registry.METHODS, ids=lambda case: case.name)
def test_every_method_continues_with_what_it_remembers(tmp_path, case):
    """Momentum, control variates, the anchor, the draws: in other pieces and on other threads."""
    for nr, engine in enumerate(case.engines):
        loss = case.losses[(len(case.name) + nr) % len(case.losses)]
        problem, method = registry.problem(loss, "samples"), case.make(lg.Polynomial(0.4, 0.2))
        options = {
            **{"loss": loss, "engine": engine, "dtype": registry.DTYPES[nr % 2], "seed": nr},
            **{"record": [3, 17], "init": registry.model(loss, np.linspace(-0.5, 0.5, 5))},
        }
        whole = lg.run(problem, method, rounds=40, threads=1, **options)
        file = tmp_path / f"{nr}.ckpt"
        lg.run(problem, method, rounds=17, threads=1, checkpoint=file, **options)
        run = lg.run(problem, method, rounds=40, threads=2, checkpoint=file, **options)
        registry.assert_same_bits(run, whole)


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_interrupted_run_continues_with_the_same_bits(small_problem, tmp_path, engine):
    """Stopped in the middle by Ctrl-C, at whatever round that is."""
    rounds = 10**6
    file = tmp_path / "run.ckpt"
    slow = lg.LocalGD(local_steps=50, lr=0.2)
    part = lg.run(
        small_problem,
        slow,
        checkpoint=file,
        progress=stop_at(1),
        **settings(engine, rounds=rounds),
    )
    assert part.status == "interrupted"
    assert 0 < part.round < rounds
    assert part.history["round"][-1] == part.round
    rest = lg.run(small_problem, slow, checkpoint=file, **settings(engine, rounds=part.round + 500))
    whole = lg.run(small_problem, slow, **settings(engine, rounds=part.round + 500))
    registry.assert_same_bits(rest, whole)


def test_file_written_between_two_chunks_serves_as_well(small_problem, tmp_path, monkeypatch):
    """A process that is killed leaves the last file of those written now and then."""
    file, kept = tmp_path / "run.ckpt", []
    write = checkpointing.Checkpoint.write

    def spy(self, session, *others):
        write(self, session, *others)
        kept.append((session.round, file.read_bytes()))

    monkeypatch.setattr(checkpointing.Checkpoint, "write", spy)
    whole = lg.run(small_problem, METHOD, checkpoint=file, checkpoint_seconds=0, **settings())
    early = [content for round, content in kept if 0 < round < 200]
    assert early
    for content in early:
        file.write_bytes(content)
        registry.assert_same_bits(
            lg.run(small_problem, METHOD, checkpoint=file, **settings()), whole
        )


def test_finished_run_is_read_not_computed(small_problem, tmp_path):
    file = tmp_path / "run.ckpt"
    first = lg.run(small_problem, METHOD, checkpoint=file, **settings())
    asked = []

    def lr(k):
        asked.append(k)
        return METHOD.lr(k)

    again = lg.run(small_problem, METHOD, checkpoint=file, **settings())
    registry.assert_same_bits(first, again)
    assert again.elapsed >= first.elapsed
    by_callable = tmp_path / "callable.ckpt"
    method = lg.LocalGD(local_steps=4, lr=lr)
    lg.run(small_problem, method, checkpoint=by_callable, **settings())
    asked.clear()
    lg.run(small_problem, method, checkpoint=by_callable, **settings())
    assert asked == list(range(200))  # once each, for the comparison


def test_end_at_the_stored_round_is_recorded(small_problem, tmp_path):
    """Stopped between two records, then asked for exactly so many rounds."""
    file = tmp_path / "run.ckpt"
    part = lg.run(
        small_problem,
        METHOD,
        checkpoint=file,
        progress=stop_at(1),
        **settings(rounds=10**7, record=[]),
    )
    assert part.status == "interrupted"
    end = settings(rounds=part.round, record=[])
    registry.assert_same_bits(
        lg.run(small_problem, METHOD, checkpoint=file, **end), lg.run(small_problem, METHOD, **end)
    )


def test_run_stopped_before_its_first_round(small_problem, tmp_path):
    file = tmp_path / "run.ckpt"

    def lr(k):
        raise KeyboardInterrupt

    stopped = lg.run(small_problem, lg.GD(lr=lr), checkpoint=file, **settings())
    assert (stopped.status, stopped.round) == ("interrupted", 0)
    assert stopped.history["round"].tolist() == [0]
    whole = lg.run(small_problem, lg.GD(lr=lambda k: 0.3), **settings())
    rest = lg.run(small_problem, lg.GD(lr=lambda k: 0.3), checkpoint=file, **settings())
    registry.assert_same_bits(rest, whole)


@pytest.mark.filterwarnings("ignore:diverged:RuntimeWarning")
@pytest.mark.parametrize("lr", [1e4, 1e308])
def test_diverged_run_diverges_again(tmp_path, lr):
    problem = lg.Problem([([[1.0, 0.0]], [1]), ([[-9.0, 1.0]], [1])])
    first, again = (
        lg.run(problem, lg.LocalGD(local_steps=3, lr=lr), rounds=50, checkpoint=tmp_path / "c")
        for _ in range(2)
    )
    assert first.status == again.status == "diverged"
    registry.assert_same_bits(first, again)


def test_automatic_engine_stays_when_rounds_are_added(tmp_path):
    """100,000 rounds would merit Gram matrices that one round does not."""
    problem = registry.problem("exponential", sizes=(40, 40), d=2000)
    method, file = lg.LocalGD(local_steps=1, lr=0.1), tmp_path / "run.ckpt"
    assert lg.run(problem, method, rounds=100_000, progress=stop_at(0)).engine != "primal"
    assert lg.run(problem, method, rounds=1, checkpoint=file).engine == "primal"
    run = lg.run(problem, method, rounds=100_000, checkpoint=file, progress=stop_at(0))
    assert (run.engine, run.config["engine"]) == ("primal", "auto")


CHANGES = {
    "data": {"problem": lambda p: lg.Problem([(1.5 * p.X[:10], p.y[:10]), (p.X[10:], p.y[10:])])},
    "weights": {"problem": lambda p: p.with_weights([1, 2, 3, 4, 5])},
    "init": {"init": np.zeros(30)},
    "reference": {"reference": np.ones(30)},
    "loss": {"loss": "logistic"},
    "dtype": {"dtype": "float32"},
    "engine": {"engine": "hybrid"},
    "local_steps": {"method": lg.LocalGD(local_steps=5, lr=METHOD.lr)},
    "method": {"method": lg.GD(lr=METHOD.lr)},
    "server": {"method": lg.LocalGD(4, METHOD.lr, server=lg.ServerSGD(0.5))},
    "participation": {"method": lg.LocalGD(4, METHOD.lr, participation=3)},
    "sampling": {"method": lg.LocalGD(4, METHOD.lr, sampling="weight")},
    "normalize": {"method": lg.LocalGD(4, METHOD.lr, normalize=False)},
    "batches": {"method": lg.LocalSGD(4, METHOD.lr, batch_size=2)},
    "lr": {"method": lg.LocalGD(local_steps=4, lr=lg.Polynomial(0.6, 0.21))},
    "seed": {"seed": 1},
    "keep_weights": {"keep_weights": True},
    "record": {"record": [7]},
}


@pytest.mark.parametrize("change", CHANGES)
def test_checkpoint_of_another_run_is_refused(small_problem, tmp_path, change):
    file = tmp_path / "run.ckpt"
    lg.run(small_problem, METHOD, checkpoint=file, **settings())
    before = file.read_bytes()
    changed = {**settings(), "method": METHOD, **CHANGES[change]}
    problem = changed.pop("problem", lambda p: p)(small_problem)
    with pytest.raises(ValueError, match=r"checkpoint: .*run\.ckpt belongs to another run"):
        lg.run(problem, changed.pop("method"), checkpoint=file, **changed)
    assert file.read_bytes() == before


def test_callables_are_told_apart_by_their_values(small_problem, tmp_path):
    file = tmp_path / "run.ckpt"
    lg.run(small_problem, lg.GD(lr=lambda k: 0.1 + 0.01 * k), checkpoint=file, **settings())
    with pytest.raises(ValueError, match=r"another run \(different: lr\)"):
        lg.run(small_problem, lg.GD(lr=lambda k: 0.1 + 0.02 * k), checkpoint=file, **settings())
    # The same values from elsewhere are the same run.
    lg.run(small_problem, lg.GD(lr=lambda round: 0.1 + 0.01 * round), checkpoint=file, **settings())


def test_fewer_records_may_be_asked_for(small_problem, tmp_path):
    file = tmp_path / "run.ckpt"
    lg.run(small_problem, METHOD, checkpoint=file, **settings())
    run = lg.run(small_problem, METHOD, checkpoint=file, **settings(rounds=300, record=[1, 10]))
    registry.assert_same_bits(
        run, lg.run(small_problem, METHOD, **settings(rounds=300, record=[1, 10]))
    )


def test_shorter_run_than_the_file_is_refused(small_problem, tmp_path):
    file = tmp_path / "run.ckpt"
    lg.run(small_problem, METHOD, checkpoint=file, **settings())
    with pytest.raises(ValueError, match=r"checkpoint: .* is at round 200, past rounds=158"):
        lg.run(small_problem, METHOD, checkpoint=file, **settings(rounds=158))


def damaged(content: bytes):
    yield b""
    yield b"round,loss\n0,1\n"
    for end in (3, 40, len(content) // 3, len(content) // 2, len(content) - 30, len(content) - 1):
        yield content[:end]
    for place in range(100, len(content), len(content) // 40):
        flipped = bytearray(content)
        flipped[place] ^= 0xFF
        yield bytes(flipped)


def test_damaged_file_is_refused_or_harmless(small_problem, tmp_path):
    """Cut short, or a byte flipped: refused, unless the byte is one that zip files do not use."""
    file = tmp_path / "run.ckpt"
    lg.run(small_problem, METHOD, checkpoint=file, **settings(rounds=100))
    content = file.read_bytes()
    whole = lg.run(small_problem, METHOD, **settings())
    refused = 0
    for wrong in damaged(content):
        file.write_bytes(wrong)
        try:
            run = lg.run(small_problem, METHOD, checkpoint=file, **settings())
        except ValueError as error:
            assert "run.ckpt: not a checkpoint of localgd, or damaged" in str(error)
            assert file.read_bytes() == wrong
            refused += 1
        else:
            registry.assert_same_bits(run, whole)
    assert refused >= 30


def test_saved_run_is_not_a_checkpoint(small_problem, tmp_path):
    file = lg.run(small_problem, METHOD, **settings()).save(tmp_path / "run.npz")
    with pytest.raises(ValueError, match=r"run\.npz: not a checkpoint of localgd"):
        lg.run(small_problem, METHOD, checkpoint=file, **settings())


def test_folder_that_does_not_exist_is_noticed_before_the_run(small_problem, tmp_path):
    def lr(k):
        raise AssertionError("the run has begun")

    with pytest.raises(ValueError, match=r"checkpoint: there is no folder .*missing"):
        lg.run(small_problem, lg.GD(lr=lr), rounds=5, checkpoint=tmp_path / "missing" / "c")


def test_no_other_files_are_left(small_problem, tmp_path):
    lg.run(small_problem, METHOD, checkpoint=tmp_path / "run.ckpt", **settings())
    assert [path.name for path in tmp_path.iterdir()] == ["run.ckpt"]

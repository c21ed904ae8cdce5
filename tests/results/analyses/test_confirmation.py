import json
import math

import pandas as pd
import pytest
from scipy import stats

import results
from results.analyses.confirmation import COLUMNS, confirmation, read_confirmation
from results.errors import RecordError, RunUnreadable
from results.indicators import hypervolume_of
from results.runs import to_frame

TESTED = [0.90, 0.92, 0.97]


def searched() -> pd.DataFrame:
    """Members b, a of a front, and reference r, not in order of cost; z is a reference without a trial."""
    rows = [
        {"number": 7, "state": "completed", "accuracy": 0.95, "params": 300},
        {"number": 2, "state": "completed", "accuracy": 0.90, "params": 100},
        {"number": 0, "state": "completed", "accuracy": 0.91, "params": 400},
    ]
    frame = to_frame(rows).assign(candidate=["b", "a", "r"], role=["front", "front", "reference"])
    return pd.concat([frame, pd.DataFrame([{"candidate": "z", "role": "reference"}])], ignore_index=True)


def again(**changed: object) -> pd.DataFrame:
    """The same from fresh seeds: on the test split r is best, and a beats b at a third of its parameters."""
    rows = [
        {"number": 0, "state": "completed", "accuracy": 0.93, "params": 300, "seeds": 3, "test_accuracy": 0.85},
        {"number": 1, "state": "completed", "accuracy": 0.89, "params": 100, "seeds": 3, "test_accuracy": 0.87},
        {"number": 3, "state": "completed", "accuracy": 0.94, "params": 400, "seeds": 3, "test_accuracy": 0.93,
         "test_accuracies": json.dumps(TESTED), "widths": "4-8-16"},
        {"number": 2, "state": "failed", "params": 50, "error": "no luck"},
    ]  # fmt: skip
    rows[0].update(changed)
    return to_frame(rows).assign(candidate=["b", "a", "r", "z"])


def test_confirmation_sets_each_candidate_beside_itself_in_order_of_cost():
    rows = confirmation(searched(), again()).rows
    assert rows["params"].tolist() == [50, 100, 300, 400]
    assert rows["number"].tolist()[1:] == [2, 7, 0]
    assert pd.isna(rows["number"].iloc[0])
    assert rows["confirmed_as"].tolist() == [2, 1, 0, 3]
    assert rows["role"].tolist() == ["reference", "front", "front", "reference"]
    assert rows["optimism"].tolist()[1:] == pytest.approx([0.01, 0.02, -0.03])


def test_confirmed_front_has_the_members_that_the_search_chose():
    found = confirmation(searched(), again())
    assert found.front()["confirmed_as"].tolist() == [1, 0]  # though 1 beats 0 on the test split
    assert found.members("optimistic")["confirmed_as"].tolist() == [1]
    assert found.members("pessimistic")["confirmed_as"].tolist() == [0]
    on_front = found.rows.set_index("confirmed_as")["on_front"]
    assert on_front[on_front].index.tolist() == [1, 3]
    level = confirmation(searched(), again(test_accuracy=0.87, params=100))
    for kept in ("optimistic", "pessimistic"):
        assert sorted(level.members(kept)["confirmed_as"]) == [0, 1]  # equal points are both on both


def test_pessimistic_hypervolume_is_of_members_that_beat_none():
    found = confirmation(searched(), again()).hypervolumes
    alone = {
        name: hypervolume_of(to_frame([{"number": 0, "state": "completed", "accuracy": a, "params": p}]))
        for name, a, p in (("test", 0.87, 100), ("test_pessimistic", 0.85, 300))
    }  # fmt: skip
    assert {name: found[name] for name in alone} == pytest.approx(alone)


def test_hypervolumes_are_of_the_same_members_three_times():
    found = confirmation(searched(), again()).hypervolumes
    params = [300, 100]
    for name, accuracies in {"searched": [0.95, 0.90], "validation": [0.93, 0.89], "test": [0.85, 0.87]}.items():
        frame = to_frame(
            {"number": n, "state": "completed", "accuracy": a, "params": p}
            for n, (a, p) in enumerate(zip(accuracies, params, strict=True))
        )
        assert found[name] == pytest.approx(hypervolume_of(frame), abs=1e-15)


def test_interval_holds_seeds_and_test_images():
    row = confirmation(searched(), again(), images=500).rows.iloc[-1]
    mean = sum(TESTED) / 3
    seeds, sample = stats.tstd(TESTED) ** 2 / 3, mean * (1 - mean) / 500
    freedom = 2 * ((seeds + sample) / seeds) ** 2
    half = stats.t.ppf(0.975, freedom) * math.sqrt(seeds + sample)
    assert (row["test_low"], row["test_high"]) == (pytest.approx(mean - half), pytest.approx(min(1.0, mean + half)))
    assert (row["test_seeds_error"], row["test_sample_error"]) == pytest.approx((math.sqrt(seeds), math.sqrt(sample)))
    assert confirmation(searched(), again()).rows["test_low"].isna().sum() == 3
    found = confirmation(searched(), again()).rows.iloc[-1]  # whole hundredths: 100 images
    assert found["test_sample_error"] == pytest.approx(math.sqrt(mean * (1 - mean) / 100))


def test_confirmed_csv_of_an_older_version_is_read(tmp_path):
    rows = confirmation(searched(), again()).rows.drop(columns=["test_seeds_error", "test_sample_error"])
    (tmp_path / "confirmed.csv").write_text(results.to_csv(rows))
    assert len(read_confirmation(tmp_path / "confirmed.csv").front()) == 2


def test_confirmed_csv_gives_back_the_confirmation(tmp_path):
    found = confirmation(searched(), again())
    (tmp_path / "confirmed.csv").write_text(results.to_csv(found.rows))
    read = read_confirmation(tmp_path / "confirmed.csv")
    assert read.rows["on_front"].tolist() == found.rows["on_front"].tolist()
    assert read.hypervolumes == pytest.approx(found.hypervolumes)
    assert read.sentences() == found.sentences()
    assert read.rows["widths"].iloc[-1] == "4-8-16"
    assert set(COLUMNS) <= set(read.rows.columns)


def test_sentences_say_what_was_kept_lost_and_failed():
    text = " ".join(confirmation(searched(), again()).sentences())
    assert "1 of 4 candidates failed" in text
    assert "1 of the front's 2 members" in text
    assert "-1.50 points on average" in text
    assert "-2.00 points" in text


@pytest.mark.parametrize("keep", [[], [3]])
def test_confirmation_of_nothing_says_so(keep):
    found = confirmation(searched(), again().iloc[keep])
    assert found.sentences()[-1] == "No member of the front has been trained again to its end."
    assert found.front().empty
    assert not found.complete
    assert found.table().row_count == len(keep)


def test_confirmation_is_complete_when_every_candidate_has_an_end():
    assert confirmation(searched(), again()).complete
    assert not confirmation(searched(), again().iloc[:3]).complete


def test_confirmation_names_the_columns_that_are_missing():
    with pytest.raises(RecordError, match="role"):
        confirmation(searched().drop(columns="role"), again())
    with pytest.raises(RecordError, match="test_accuracy"):
        confirmation(searched(), again().drop(columns="test_accuracy"))


@pytest.mark.parametrize("text", ["", "number,role\n1,front\n", "\x00\x01", None])
def test_read_confirmation_refuses_another_file_in_one_sentence(tmp_path, text):
    path = tmp_path / "confirmed.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RunUnreadable, match=r"confirmed\.csv") as refused:
        read_confirmation(path)
    assert "\n" not in str(refused.value)


def test_read_confirmation_refuses_words_where_numbers_belong(tmp_path):
    text = results.to_csv(confirmation(searched(), again()).rows).replace("0.87", "many")
    (tmp_path / "confirmed.csv").write_text(text)
    with pytest.raises(RunUnreadable, match="another type"):
        read_confirmation(tmp_path / "confirmed.csv")

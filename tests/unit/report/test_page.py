"""The page is one whole, safe, self-contained file, whatever a model wrote and however much there is."""

import base64
import hashlib
import re
from pathlib import Path

from ergo_plugins.core.outcome import Outcome
from ergo_plugins.report.markup import LONGEST_TEXT
from ergo_plugins.report.page import page
from ergo_plugins.report.read.journal import read_journal
from ergo_plugins.report.read.verdicts import join_verdicts
from tests.unit.report.journals import PageReader, entry, outcome, sample, write_journal, write_previews, write_samples

ATTACK = """</pre></article><script>alert(1)</script><img src=x onerror=alert(2)>"'&lt;b&gt;"""


def made(journal: Path, *, samples: Path | None = None, previews: int = 200) -> tuple[PageReader, str]:
    run = read_journal(journal)
    html = page(join_verdicts(run, samples) if samples else run, previews=previews)
    html.encode("utf-8")
    return PageReader(html), html


def test_a_card_shows_the_pictures_the_box_both_replies_and_the_verdict(tmp_path: Path) -> None:
    journal = write_journal(tmp_path, entry(4, previews=write_previews(tmp_path, "4")))
    read, html = made(journal, samples=write_samples(tmp_path, sample(4, "A", acc=0.0, target_coverage=0.5)))
    assert len(read.all("article", class_="card")) == 1
    assert [picture["src"][:23] for picture in read.all("img")] == ["data:image/jpeg;base64,"] * 2
    assert read.all("svg", class_="over")[0]["viewbox"] == "0 0 1000 500"
    (box,) = read.all("rect", class_="box")
    assert [box[side] for side in ("x", "y", "width", "height")] == ["100", "100", "100", "50"]
    for said in ("<zoom>[10, 10, 20, 15]</zoom>", "<answer>B</answer>", "Which colour has the spot?", "some/model"):
        assert said in read.text
    assert re.search(r"Answered <b>B</b>, wanted <b>A</b>", html)
    assert read.all("span", class_="bad")
    assert "50.0% of the evidence" in read.text


def test_whatever_was_written_is_shown_as_text(tmp_path: Path) -> None:
    played = outcome(replies=(ATTACK, ATTACK), problems=(f"look: {ATTACK}",))
    line = entry(0, played, task=ATTACK, question=ATTACK, returned=ATTACK)
    header = {"journal": "ergo-plugins/1", "settings": {"model": ATTACK, ATTACK: [ATTACK]}, "tasks": [ATTACK]}
    read, _ = made(write_journal(tmp_path, line, header=header))
    assert read.text.count(ATTACK) >= 9
    assert len(read.all("script")) == 1
    assert not read.all("img")
    assert not any(name.startswith("on") for _, attributes in read.elements for name in attributes)


def test_options_targets_and_metrics_are_shown_as_text(tmp_path: Path) -> None:
    attack = ATTACK.replace("\n", " ")
    line = entry(0, question=f"Which?\nA. {attack}\nB. blue", returned=attack)
    verdict = sample(0, attack, **{attack: 1.0, "acc": 0.0})
    read, _ = made(write_journal(tmp_path, line), samples=write_samples(tmp_path, verdict))
    assert read.text.count(attack) >= 4  # the option, what was answered, what was wanted, the metric's name
    assert len(read.all("script")) == 1
    assert not read.all("img")
    assert not any(name.startswith("on") for _, attributes in read.elements for name in attributes)


def test_characters_that_no_page_can_hold_are_made_visible(tmp_path: Path) -> None:
    read, html = made(write_journal(tmp_path, entry(0, outcome(replies=("a\0b\ud800c\x1b[31m", "d\r\ne")))))
    assert "a␀b\ufffdc␛[31m" in read.text
    assert "d\ne" in read.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", html)


def test_a_huge_reply_is_cut_with_a_note_of_its_length(tmp_path: Path) -> None:
    read, html = made(write_journal(tmp_path, entry(0, outcome(replies=("<&" * 500_000, "<answer>B</answer>")))))
    assert f"the text has 1,000,000 characters, {LONGEST_TEXT:,} are shown" in read.text
    assert len(html) < 400_000


def test_the_page_asks_no_server_for_anything(tmp_path: Path) -> None:
    read, html = made(write_journal(tmp_path, entry(0, previews=write_previews(tmp_path, "0"))))
    for _, attributes in read.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert not re.search(r"@import|url\(", html)
    policy = next(meta["content"] for meta in read.all("meta") if "http-equiv" in meta)
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    script = html[html.index("<script>") + len("<script>") : html.index("</script>")]
    assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy


def test_pictures_are_capped_and_the_page_says_so(tmp_path: Path) -> None:
    wrong = outcome(problems=("look: no <zoom>",))
    lines = [entry(i, wrong if i >= 6 else None, previews=write_previews(tmp_path, str(i))) for i in range(10)]
    read, html = made(write_journal(tmp_path, *lines), previews=4)
    assert "Pictures of 4 of 10 samples are included" in read.text
    cards = html.split("<article")[1:]
    assert [i for i, card in enumerate(cards) if "<img" in card] == [0, 1, 6, 7]  # half of them went wrong
    assert len(made(tmp_path / "journal.jsonl", previews=0)[0].all("img")) == 0


def test_missing_and_damaged_pictures_become_outlines_and_are_counted(tmp_path: Path) -> None:
    files = write_previews(tmp_path, "1")
    (tmp_path / files["look"]).write_bytes(b"\xff\xd8 no picture")
    gone = {"look": "views/gone.jpg"}
    read, _ = made(write_journal(tmp_path, entry(0, previews=gone), entry(1, previews=files), entry(2)))
    assert "2 preview pictures named in the input are missing or damaged." in read.text
    assert len(read.all("img")) == 1
    assert len(read.all("div", class_="outline")) == 5
    assert len(read.all("rect", class_="box")) == 3  # the boxes are still there to see


def test_large_previews_are_reduced(tmp_path: Path) -> None:
    from PIL import Image

    Image.effect_noise((3000, 1500), 90).save(tmp_path / "large.png")
    read, html = made(write_journal(tmp_path, entry(0, previews={"look": "large.png"})))
    (picture,) = read.all("img")
    assert (picture["width"], picture["height"]) == ("640", "320")
    assert len(html) < 500_000


def test_an_image_that_could_not_be_read_and_a_single_pass_have_their_cards(tmp_path: Path) -> None:
    broken = Outcome(method="ergo", problems=("image: OSError: truncated",))
    read, _ = made(write_journal(tmp_path, entry(0, broken, question="", returned="Z")))
    for said in (
        "The image could not be read.",
        "The question could not be read.",
        "handed over as Z",
        "image: OSError",
    ):
        assert said in read.text
    two = outcome(box=None)
    single = Outcome(method="single_pass", source=two.source, turns=two.turns[1:], answer="B", single_pass_tokens=100)
    read, _ = made(write_journal(tmp_path, entry(0, single, extra={"target_box_source": [0, 0, 9, 9]})))
    assert "without zooming in" in read.text
    assert "usable box" not in read.text.split("The samples")[0]
    assert "evidence inside" not in read.text  # nobody asked where it is


def test_notes_of_the_input_and_an_empty_run_are_shown(tmp_path: Path) -> None:
    read, _ = made(write_journal(tmp_path, tail='{"task"'))
    assert "The last line of the journal is incomplete" in read.text
    assert "0 of 0" in read.text


def test_two_thousand_samples_make_a_page_of_moderate_size(tmp_path: Path) -> None:
    played = outcome(replies=("think " * 100 + "<zoom>[10, 10, 20, 15]</zoom>", "think " * 100 + "<answer>B</answer>"))
    read, html = made(write_journal(tmp_path, *(entry(i, played) for i in range(2000))))
    assert len(read.all("article")) == 2000
    assert len(html) < 12_000_000
    cards = read.all("article", class_="card")
    assert [cards[7][f"data-{key}"] for key in ("number", "verdict", "box", "tokens")] == [
        "7",
        "not judged",
        "yes",
        "12",
    ]

"""Flags of ROIs are said once, by letters."""

from twotime.export.flags import Flag, flags, sentences


def test_same_sentence_of_several_rois_is_one_flag() -> None:
    found = flags({1: "no fit", 2: "", 3: "no fit; the decay is incomplete"})

    assert found == [Flag("a", "no fit", (1, 3)), Flag("b", "the decay is incomplete", (3,))]


def test_numbers_of_a_flag_are_given_as_far_as_they_reach() -> None:
    said = "rate {} per frame lies outside the trained 0.0003 to 0.3"

    (one,) = flags({roi: said.format(rate) for roi, rate in {1: "0.41", 2: "1.2e+02", 5: "0.5"}.items()})

    assert one.sentence == "rate 0.41–1.2e+02 per frame lies outside the trained 0.0003 to 0.3"
    assert one.rois == (1, 2, 5)


def test_reason_of_the_denoised_curve_is_not_repeated_and_in_symbols() -> None:
    doubt = "relaxation_rate ended on a bound"

    found = sentences(f"{doubt}; raw leads: of the denoised curve, it is noise; it is noise; see fits_age")

    assert found == [
        "Γ ended on a bound",
        "raw leads: of the denoised curve, it is noise",
        "raw leads: see Γ against age",
    ]


def test_letters_go_on_after_z() -> None:
    letters = {1: "; ".join(f"reason {chr(97 + k) * 3}" for k in range(26)) + "; one more"}

    assert [one.mark for one in flags(letters)][-2:] == ["z", "aa"]

"""Exported files hold what was published, where other tools look for it."""

import re
from dataclasses import replace
from functools import partial
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from pypdf import PdfReader

from cnn_ed import Ensemble
from twotime.errors import RecipeError
from twotime.export.files import Dialect, write_file
from twotime.export.logbook import logbook_text
from twotime.export.report import report_html
from twotime.export.report_pictures import draw_scattering, png
from twotime.export.words import MOST_ROIS, flag_sentences, headline_rows, verdict_sentences
from twotime.files import NumpyStack
from twotime.pipeline import analyse
from twotime.recipe import parse_recipe
from twotime.results import Analysis
from twotime.simulate import SpeckleModel, simulate_frames
from twotime.xpcs import Geometry

GEOMETRY = Geometry(-30.0, 20.0, 5.0, 1.24, 75e-6, 0.01)
VIEWER = (
    "/xpcs/qmap/mask",
    "/xpcs/qmap/dynamic_roi_map",
    "/xpcs/qmap/static_roi_map",
    "/xpcs/qmap/dynamic_v_list_dim0",
    "/xpcs/qmap/static_v_list_dim0",
    "/xpcs/qmap/dynamic_v_list_dim1",
    "/xpcs/qmap/static_v_list_dim1",
    "/xpcs/qmap/beam_center_y",
    "/xpcs/qmap/beam_center_x",
    "/xpcs/qmap/detector_distance",
    "/xpcs/qmap/pixel_size",
    "/xpcs/qmap/static_index_mapping",
    "/xpcs/qmap/dynamic_index_mapping",
    "/xpcs/qmap/static_num_pts",
    "/xpcs/qmap/dynamic_num_pts",
    "/xpcs/qmap/map_names",
    "/xpcs/qmap/map_units",
    "/xpcs/spatial_mean/intensity_vs_time",
    "/xpcs/multitau/delay_list",
    "/xpcs/multitau/normalized_g2",
    "/xpcs/multitau/normalized_g2_err",
    "/xpcs/multitau/config/stride_frame",
    "/xpcs/multitau/config/avg_frame",
    "/xpcs/temporal_mean/scattering_2d",
    "/xpcs/temporal_mean/scattering_1d",
    "/xpcs/temporal_mean/scattering_1d_segments",
    "/xpcs/twotime/correlation_map/c2_00001",
    "/xpcs/twotime/normalized_g2",
    "/xpcs/twotime/delay_list",
    "/xpcs/twotime/processed_bins",
    "/entry/instrument/detector_1/frame_time",
    "/entry/instrument/detector_1/count_time",
    "/entry/instrument/incident_beam/incident_energy",
)
"""What pyXpcsViewer opens of a file, by its own table of keys."""
REQUIRED = (
    "/entry/definition",
    "/entry/data",
    "/entry/instrument/incident_beam/incident_energy",
    "/entry/instrument/detector_1/count_time",
    "/entry/instrument/detector_1/frame_time",
    "/entry/instrument/detector_1/beam_center_x",
    "/entry/instrument/detector_1/beam_center_y",
    "/entry/instrument/masks/dynamic_roi_map",
)
"""What the definition NXxpcs demands."""


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    model = SpeckleModel((40, 40), GEOMETRY, diffusion=6e5, contrast=0.3, mean_counts=2.0, seed=4)
    path = tmp_path_factory.mktemp("frames") / "frames.npy"
    np.save(path, simulate_frames(model, 70))
    geometry = {name: getattr(GEOMETRY, name) for name in GEOMETRY.__dataclass_fields__}
    recipe = parse_recipe(
        {"geometry": geometry, "rois": [{"unit": "pixel", "edges": [[35, 45], [50, 60]]}], "fit": {"ages": 2}}
    )
    return analyse(NumpyStack(path), recipe, Ensemble.load())


@pytest.fixture(scope="module")
def nexus(analysis: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nexus") / "result.nxs"
    write_file(path, analysis)
    return path


def test_nexus_holds_what_the_definition_and_the_viewer_demand(nexus: Path) -> None:
    with h5py.File(nexus) as file:
        assert [place for place in (*REQUIRED, *VIEWER) if place not in file] == []
        assert file["entry/definition"][()] == b"NXxpcs"
        assert file["entry"].attrs["NX_class"] == "NXentry"
        center = file["entry/instrument/detector_1/beam_center_y"]
        assert (center[()], center.attrs["units"]) == (pytest.approx(-30 * 75e-6), "m")
        assert file["entry/instrument/incident_beam/incident_energy"][()] == pytest.approx(9.9987, rel=1e-4)
        assert file["xpcs/multitau/normalized_g2"] == file["entry/data/g2"]


def test_nexus_axes_of_every_data_group_fit_its_signal(nexus: Path) -> None:
    with h5py.File(nexus) as file:
        groups = [one for one in file["entry"].values() if one.attrs.get("NX_class") == "NXdata"]
        assert len(groups) == 6
        for group in groups:
            signal = group[group.attrs["signal"]]
            axes = list(group.attrs["axes"])
            assert len(axes) == signal.ndim
            for place, axis in enumerate(axes):
                assert group.attrs[f"{axis}_indices"] == place
                assert group[axis].shape == (signal.shape[place],)
                assert group[axis].attrs["units"] == ("1/angstrom" if axis == "q" else "s")


def test_independent_reader_finds_the_default_plot(nexus: Path, analysis: Analysis) -> None:
    with np.printoptions():  # Importing it changes how NumPy prints arrays, for all later tests of the process.
        from nexusformat.nexus import nxload

    root = nxload(str(nexus))
    default = root.get_default()
    table = analysis.tables["g2_multitau"]
    own = table[table["roi"] == 2]

    assert default.nxpath == "/entry/curves"
    assert [axis.nxname for axis in default.nxaxes] == ["q", "delay"]
    np.testing.assert_allclose(default.nxaxes[1].nxvalue, own["lag_s"])
    np.testing.assert_array_equal(default.nxsignal.nxvalue[1], own["g2"])
    np.testing.assert_array_equal(default.nxerrors.nxvalue[1], own["g2_error"])
    maps = root["entry/maps"]
    assert [axis.nxname for axis in maps.nxaxes] == ["q", "time_1", "time_2"]
    np.testing.assert_array_equal(maps.nxsignal.nxvalue[1], analysis.arrays["two_time"][1])


def test_nexus_holds_the_numbers_that_were_published(nexus: Path, analysis: Analysis) -> None:
    with h5py.File(nexus) as file:
        c2 = file["entry/twotime/two_time_corr_func"]
        assert (c2.attrs["storage_mode"], c2.attrs["baseline_reference"]) == ("one_array_q_last", 1)
        for roi in (0, 1):
            np.testing.assert_array_equal(c2[:, :, roi], analysis.arrays["two_time"][roi])
            np.testing.assert_array_equal(
                file[f"xpcs/twotime/correlation_map/c2_{roi + 1:05d}"][()], analysis.arrays["two_time"][roi]
            )
        np.testing.assert_array_equal(
            file["entry/denoised/two_time_corr_func"][:, :, 1], analysis.arrays["two_time_denoised"][1]
        )
        table = analysis.tables["g2_multitau"]
        own = table[table["roi"] == 2]
        np.testing.assert_array_equal(file["entry/data/g2"][:, 1], own["g2"])
        np.testing.assert_array_equal(file["entry/data/delay_difference"], own["lag_frames"])
        fits = file["entry/tables/fits"]
        np.testing.assert_array_equal(fits["relaxation_rate"], analysis.tables["fits"]["relaxation_rate"])
        assert [text.decode() for text in fits["headline"]] == analysis.tables["fits"]["headline"].tolist()


def test_plain_file_has_one_dataset_for_each_node(analysis: Analysis, tmp_path: Path) -> None:
    write_file(tmp_path / "result.h5", analysis)

    with h5py.File(tmp_path / "result.h5") as file:
        assert set(file) == set(analysis.arrays) | set(analysis.tables)
        for name, array in analysis.arrays.items():
            np.testing.assert_array_equal(file[name][()], array)
            assert file[name].attrs["description"]
        np.testing.assert_array_equal(file["fits/alpha"], analysis.tables["fits"]["alpha"])


def test_unknown_ending_is_refused_before_anything_is_written(analysis: Analysis, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"has no known ending; \.nxs gives NeXus"):
        write_file(tmp_path / "result.mat", analysis)
    assert list(tmp_path.iterdir()) == []


def test_pychx_finds_its_names_shapes_and_our_numbers(analysis: Analysis, tmp_path: Path) -> None:
    write_file(tmp_path / "result.h5", analysis, Dialect.PYCHX)

    g2 = analysis.tables["g2_multitau"].query("roi == 2")
    own = analysis.tables["g2"].query("roi == 1")
    with h5py.File(tmp_path / "result.h5") as file:
        assert file["md"].attrs["uid"] == analysis.resolved["raw_uid"]
        by_place = {int(key): list(place) for key, place in file["qval_dict"].attrs.items()}
        assert by_place == {k: [q] for k, q in enumerate(analysis.tables["fits"]["q"])}
        np.testing.assert_array_equal(file["taus"][1:], g2["lag_s"])
        np.testing.assert_array_equal(file["g2"][1:, 1], g2["g2"])
        np.testing.assert_array_equal(file["tausb"][1:], own["lag_s"])
        np.testing.assert_array_equal(file["g2b"][1:, 0], own["g2_raw"])
        np.testing.assert_array_equal(file["g12b"][:, :, 1], analysis.arrays["two_time"][1])
        np.testing.assert_array_equal(file["avg_img"], analysis.arrays["mean_frame"])
        np.testing.assert_array_equal(file["roi_mask"], analysis.arrays["roi_labels"])
        np.testing.assert_array_equal(file["mean_int_sets"], analysis.arrays["intensity"])
        assert np.isnan(file["g2"][0]).all()  # lag 0, which readers of pyCHX files drop


def test_pychx_folder_holds_its_files_with_its_columns(analysis: Analysis, tmp_path: Path) -> None:
    write_file(tmp_path / "results", analysis, Dialect.PYCHX)

    stem = f"uid={analysis.resolved['raw_uid']}"
    names = {path.name for path in (tmp_path / "results").iterdir()}
    assert names == {f"{stem}_{end}" for end in ("Res.h5", "g2.csv", "g2b.csv", "g2b_fit_paras.csv")}
    g2 = pd.read_csv(tmp_path / "results" / f"{stem}_g2.csv", index_col=0)
    published = analysis.tables["g2_multitau"].query("roi == 1")
    assert g2.columns.tolist() == ["tau", *map(str, analysis.tables["fits"]["q"])]
    np.testing.assert_allclose(g2.iloc[1:, 1], published["g2"])
    g2b = pd.read_csv(tmp_path / "results" / f"{stem}_g2b.csv", index_col=0)
    assert g2b.columns.tolist() == g2.columns.tolist()
    np.testing.assert_allclose(g2b.iloc[1:, 2], analysis.tables["g2"].query("roi == 2")["g2_raw"])
    fits = pd.read_csv(tmp_path / "results" / f"{stem}_g2b_fit_paras.csv", index_col=0)
    assert fits.columns.tolist() == ["beta", "relaxation_rate", "alpha", "baseline"]
    for name in fits.columns:
        np.testing.assert_allclose(fits[name], analysis.tables["fits"][f"raw_{name}"])


def test_pychx_names_sectors_by_q_and_angle(analysis: Analysis, tmp_path: Path) -> None:
    sectors = replace(analysis, tables={**analysis.tables, "fits": analysis.tables["fits"].assign(phi=[10.0, 55.0])})

    write_file(tmp_path / "result.h5", sectors, Dialect.PYCHX)

    with h5py.File(tmp_path / "result.h5") as file:
        assert [file["qval_dict"].attrs[key][1] for key in ("0", "1")] == [10.0, 55.0]


def test_pychx_has_no_nexus(analysis: Analysis, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"pyCHX has no \.nxs files"):
        write_file(tmp_path / "result.nxs", analysis, Dialect.PYCHX)
    assert list(tmp_path.iterdir()) == []


class _Links(HTMLParser):
    """What a page asks for, and which of its elements are open at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.asked += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_report_is_one_page_that_asks_for_nothing(analysis: Analysis, tmp_path: Path) -> None:
    write_file(tmp_path / "report.html", analysis)

    page = _Links()
    page.feed((tmp_path / "report.html").read_text("utf-8"))
    assert page.open == []
    assert len(page.asked) == 2 + len(analysis.tables["fits"])
    assert all(one.startswith("data:image/png;base64,iVBOR") for one in page.asked)


def test_report_says_the_numbers_flags_recipe_and_source(analysis: Analysis) -> None:
    page = report_html(replace(analysis, warnings=["Frame 3 <b>was</b> left out."]))

    for row in analysis.tables["fits"].to_dict("records"):
        assert f"{row['q']:.5f}" in page
        assert row["flag"] in page
    assert "Frame 3 &lt;b&gt;was&lt;/b&gt; left out." in page
    assert "edges:" in page
    assert "Sci. Rep. 11, 14756 (2021)" in page
    assert analysis.resolved["raw_uid"] in page


def test_sentence_of_a_flag_stands_once_and_its_letter_in_every_row(analysis: Analysis) -> None:
    flag = "the error of the rate exceeds the rate"
    fits = analysis.tables["fits"].assign(flag=flag, trusted=False)
    one = replace(analysis, tables={**analysis.tables, "fits": fits})

    page = re.sub(r' title="[^"]*"', "", report_html(one))
    text = logbook_text(one)

    for report in (page, text):
        assert report.count("not trusted (a)") == len(fits)
        assert report.count(flag) == 1


def test_pdf_says_the_numbers_flags_recipe_and_source_as_text(analysis: Analysis, tmp_path: Path) -> None:
    write_file(tmp_path / "report.pdf", replace(analysis, warnings=["Frame 3 was left out, for $2 and $3."]))

    pages = PdfReader(tmp_path / "report.pdf").pages
    text = " ".join(" ".join(page.extract_text() for page in pages).split())
    for row in headline_rows(analysis):
        for cell in row:
            assert cell in text
    for mark, sentence in flag_sentences(analysis):
        assert f"{mark} {sentence}" in text
    for words in ("Frame 3 was left out, for $2 and $3.", "Sci. Rep. 11, 14756 (2021)", analysis.resolved["raw_uid"]):
        assert words in text
    assert "edges:" in text
    assert f"{len(pages)} / {len(pages)}" in pages[-1].extract_text()
    assert all(float(page.mediabox.height) == pytest.approx(842, abs=1) for page in pages)


@pytest.mark.slow
def test_table_of_many_rois_goes_on_on_the_next_page_under_its_header(analysis: Analysis, tmp_path: Path) -> None:
    number = 120
    tables = {name: _repeated(analysis.tables[name], number) for name in ("fits", "g2", "fits_age")}
    arrays = _arrays_of(analysis, number)

    write_file(tmp_path / "report.pdf", replace(analysis, tables={**analysis.tables, **tables}, arrays=arrays))

    texts = [page.extract_text() for page in PdfReader(tmp_path / "report.pdf").pages]
    assert sum("contrast" in text and "trust" in text for text in texts[:3]) >= 2
    numbers = [
        int(one) for text in texts for one in re.findall(rf"^(\d+)\s+{analysis.tables['fits']['q'][0]:.5f}", text, re.M)
    ]
    assert numbers == list(range(1, number + 1))


def test_report_without_denoising_draws_what_was_measured(analysis: Analysis) -> None:
    measured = {name: array for name, array in analysis.arrays.items() if "denoised" not in name}

    assert report_html(replace(analysis, arrays=measured)).count("<img") == 4


@pytest.mark.slow
def test_report_of_many_rois_says_which_it_draws(analysis: Analysis) -> None:
    number = MOST_ROIS + 3
    tables = {name: _repeated(analysis.tables[name], number) for name in ("fits", "g2", "fits_age")}
    arrays = _arrays_of(analysis, number)

    page = report_html(replace(analysis, tables={**analysis.tables, **tables}, arrays=arrays))

    assert f"{MOST_ROIS} of {number} ROIs are drawn: 1, " in page
    assert page.count("<img") == 2 + MOST_ROIS


def _arrays_of(analysis: Analysis, number: int) -> dict[str, np.ndarray]:
    """The arrays of a result with so many ROIs, all like the first."""
    arrays = {
        name: np.repeat(array[:1], number, axis=0) if array.ndim == 3 else array
        for name, array in analysis.arrays.items()
    }
    return {**arrays, "intensity": np.repeat(arrays["intensity"][:, :1], number, axis=1)}


def _repeated(table: pd.DataFrame, number: int) -> pd.DataFrame:
    own = table[table["roi"] == 1]
    return pd.concat([own.assign(roi=k) for k in range(1, number + 1)], ignore_index=True)


def test_logbook_text_has_one_line_for_each_roi(analysis: Analysis, tmp_path: Path) -> None:
    write_file(tmp_path / "result.txt", analysis)

    text = (tmp_path / "result.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if re.match(r"\d ", line)]
    assert [line.split()[:2] for line in lines] == [
        [str(row.roi), f"{row.q:.5f}"] for row in analysis.tables["fits"].itertuples()
    ]
    assert all("trusted" in line for line in lines)


def test_report_of_a_large_detector_with_a_dark_frame_is_drawn_without_a_warning(analysis: Analysis) -> None:
    labels = np.zeros((1500, 1400), np.int32)
    labels[700:800, 100:1300], labels[900:950] = 1, 2
    large = {"roi_labels": labels, "mask": labels >= 0, "mean_frame": np.zeros(labels.shape, np.float32)}

    one = replace(analysis, arrays={**analysis.arrays, **large})

    assert png(partial(draw_scattering, analysis=one), 4.6).startswith(b"\x89PNG")


def test_verdict_stands_first_in_logbook_and_report(analysis: Analysis) -> None:
    said = verdict_sentences(analysis)

    assert logbook_text(analysis).splitlines()[2] == said[0]
    assert escape(said[0]) in report_html(analysis)


EVIL = "<img src=x onerror=alert(1)>\"'&</title><script>alert(2)</script>"


def test_names_with_markup_are_text_in_reports_and_files(analysis: Analysis, tmp_path: Path) -> None:
    named = replace(analysis, resolved={**analysis.resolved, "sample": EVIL}, warnings=[EVIL])

    page = report_html(named)
    write_file(tmp_path / "result.nxs", named)

    assert "<script" not in page
    assert "<img src=x" not in page
    assert escape(EVIL) in page
    assert EVIL in logbook_text(named)  # Plain text, shown as such.
    with h5py.File(tmp_path / "result.nxs") as file:
        assert file["entry/sample/name"][()].decode() == EVIL

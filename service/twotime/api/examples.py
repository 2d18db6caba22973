"""Examples that the OpenAPI document shows."""

from pydantic import JsonValue

UID = "6a1f3c2b-58e0-4d0e-9c55-2f1f6c0a7d10"
ID = "6a1f3c2b-9f2d4c11ab"
RINGS: dict[str, JsonValue] = {"kind": "rings", "unit": "1/A", "inner_radius": 0.004, "width": 0.001, "num_rings": 4}


ANALYSIS: dict[str, JsonValue] = {
    "id": ID,
    "kind": "xpcs",
    "raw_uid": UID,
    "scan_id": 4711,
    "sample": "silica in glycerol",
    "status": "running",
    "attempt": 1,
    "stage": "reading",
    "progress": 0.42,
    "request": {"rois": [RINGS]},
    "recipe": {"version": 1, "rois": [RINGS]},
    "sources": {"geometry.distance_m": "descriptor configuration eiger4m_single_det_distance"},
    "versions": {"twotime": "0.1.0", "ensemble": "2026.11"},
    "timings_s": {},
    "error": None,
    "warnings": [],
    "automatic": True,
    "mark": {"value": "bad", "note": "beam lost half-way", "by": "control-room", "time": 1795212009.0},
    "created_time": 1795212000.0,
    "updated_time": 1795212004.5,
    "started_time": 1795212001.0,
    "finished_time": None,
}
RUN: dict[str, JsonValue] = {
    "uid": UID,
    "scan_id": 4711,
    "sample": "silica in glycerol",
    "plan_name": "count",
    "time": 1795212000.0,
    "exit_status": "success",
    "detectors": ["eiger4m_single_image"],
    "automatic": "taken",
    "reason": "XPCS_data is true",
    "analyses": [ID],
}
LIVE: dict[str, JsonValue] = {
    "uid": UID,
    "kind": "xpcs",
    "scan_id": 4711,
    "sample": "silica in glycerol",
    "detector": "eiger4m_single_image",
    "state": "running",
    "message": "",
    "n_frames": 640,
    "n_shown": 600,
    "announced": 2000,
    "frame_time_s": 0.00134,
    "lag_s": 1.9,
    "bad_frames": 0,
    "warnings": [],
    "updated_time": 1795212004.5,
}
FRAME_PROFILE: dict[str, JsonValue] = {
    "distance": [0.0, 1.0],
    "row": [20.0, 20.6],
    "column": [50.0, 50.8],
    "n_pixels": [5, 5],
    "raw": [0.6, 0.2],
    "raw_error": [0.35, 0.2],
    "rate": [0.51, 0.52],
    "rate_error": [0.06, 0.06],
}

FRAMES_SUMMARY: dict[str, JsonValue] = {
    "id": ID,
    "raw_uid": UID,
    "scan_id": 4712,
    "sample": "LSCO",
    "detector": "pilatus_image",
    "n_frames": 24,
    "frames_summed": 5,
    "shape": [195, 487],
    "scan_variable": {"name": "sample_temperature", "unit": "K"},
    "frame_time_s": 5.0,
    "regions": [{"region": 1, "n_pixels": 441}],
    "significance": 5.0,
    "warnings": [],
    "versions": {"twotime": "0.2.0", "numerics": "1", "frame_denoiser": "2026.11"},
}
RATE: dict[str, JsonValue] = {"value": 12.3, "error": 0.4, "unit": "1/s"}
DYNAMICS: dict[str, JsonValue] = {
    "relaxation_rate": RATE,
    "relaxation_rate_per_frame": {"value": 0.0165, "error": 0.0005, "unit": "1/frame"},
    "beta": {"value": 0.181, "error": 0.003, "unit": "1"},
    "baseline": {"value": 1.001, "error": 0.002, "unit": "1"},
    "alpha": {"value": 0.98, "error": 0.03, "unit": "1"},
    "chi2": 1.1,
    "on_bound": [],
    "trusted": True,
    "reason": "",
}
AGE_CUT: dict[str, JsonValue] = {
    "roi": 1,
    "age_s": 0.13,
    "first_age_s": 0.05,
    "last_age_s": 0.21,
    "lag_s": [0.00134, 0.00268],
    "g2_raw": [1.19, 1.17],
    "g2_raw_error": [0.02, 0.02],
    "g2_raw_fit": [1.18, 1.176],
    "g2_denoised": [1.181, 1.175],
    "g2_denoised_error": [0.004, 0.004],
    "g2_denoised_fit": [1.181, 1.176],
    "raw": DYNAMICS,
    "denoised": DYNAMICS,
}
RESULT: dict[str, JsonValue] = {
    "id": ID,
    "raw_uid": UID,
    "scan_id": 4711,
    "sample": "silica in glycerol",
    "n_frames": 1000,
    "frame_time_s": 0.00134,
    "rois": [
        {
            "roi": 1,
            "q": 0.0045,
            "q_inner": 0.004,
            "q_outer": 0.005,
            "phi": None,
            "n_pixels": 5210,
            "mean_counts": 0.12,
            "contrast": {"value": 0.179, "error": 0.002, "unit": "1"},
            "headline": "estimate",
            "estimate": DYNAMICS,
            "trusted": True,
            "flag": "",
            "raw": DYNAMICS,
            "denoised": DYNAMICS,
            "denoised_stride": 1,
        }
    ],
    "flags": [],
    "q_dependence": [
        {
            "kind": "headline",
            "n_rois": 4,
            "diffusion": {"value": 6.07e5, "error": 9e3, "unit": "Å²/s"},
            "chi2": 1.2,
            "exponent": {"value": 2.03, "error": 0.05, "unit": "1"},
            "amplitude": {"value": 7.1e5, "error": 1.9e5, "unit": "Å^p/s"},
            "reason": "",
        }
    ],
    "warnings": ["412 of 18230 ROI pixels were masked."],
    "versions": {"twotime": "0.1.0", "ensemble": "2026.11"},
}
VERDICT: dict[str, JsonValue] = {
    "id": ID,
    "text": "Ages: slower by 28 ± 6 % over 1.3 s. Five of six ROIs are good to 10 %.",
    "statements": [
        {
            "code": "slower",
            "level": "note",
            "sentence": "Ages: slower by 28 ± 6 % over 1.3 s.",
            "values": {
                "change": {"value": -0.28, "error": 0.06, "unit": "1"},
                "over": {"value": 1.3, "error": 0.0, "unit": "s"},
            },
            "rois": [1, 2, 3, 4, 5, 6],
            "picture": "age",
        },
        {
            "code": "precise",
            "level": "good",
            "sentence": "Five of six ROIs are good to 10 %.",
            "values": {
                "number": {"value": 5.0, "error": 0.0, "unit": "1"},
                "total": {"value": 6.0, "error": 0.0, "unit": "1"},
            },
            "rois": [1, 2, 3, 4, 5],
            "picture": "table",
        },
    ],
}
_OPTION: dict[str, JsonValue] = {
    "change": "frames",
    "factor": 4.2,
    "n_frames": 2100,
    "frame_time_s": 0.00134,
    "photons": 0.12,
    "relative_error": 0.05,
}
ADVICE: dict[str, JsonValue] = {
    "id": ID,
    "roi": 4,
    "relative_error": 0.11,
    "target": 0.05,
    "sentence": "ROI 4 to 5 %: 2100 frames, or 3 × the flux, or 2 ms frames.",
    "options": [_OPTION],
    "needed": [_OPTION],
    "notes": [],
}
_FIELD: dict[str, JsonValue] = {"name": "temperature", "unit": "K", "low": 290.0, "high": 330.0, "n_scans": 5}
SERIES: dict[str, JsonValue] = {
    "x": _FIELD,
    "y": "diffusion",
    "y_unit": "Å²/s",
    "n_scans": 5,
    "without_x": 0,
    "marked_bad": 1,
    "fields": [_FIELD],
    "groups": [{"group": 1, "q": 0.0045, "phi": None, "n_scans": 5}],
    "scans": {
        "n_rows": 1,
        "units": {"analysis_id": "1", "x": "K", "diffusion": "Å²/s", "diffusion_error": "Å²/s"},
        "columns": {"analysis_id": [ID], "x": [290.0], "diffusion": [6.1e5], "diffusion_error": [4e4]},
    },
    "rows": {
        "n_rows": 1,
        "units": {"analysis_id": "1", "x": "K", "group": "1", "relaxation_rate": "1/s"},
        "columns": {"analysis_id": [ID], "x": [290.0], "group": [1], "relaxation_rate": [12.3]},
    },
    "law": "arrhenius",
    "fits": [
        {
            "group": None,
            "parameters": {
                "amplitude": {"value": 9.8e5, "error": 3e4, "unit": "Å²/s"},
                "activation_energy": {"value": 21.0, "error": 1.2, "unit": "kJ/mol"},
            },
            "reference": 309.0,
            "chi2": 0.9,
            "n": 5,
            "reason": "",
            "x": [290.0, 330.0],
            "y": [6.1e5, 1.6e6],
        }
    ],
}

DYNAMICS_MAP: dict[str, JsonValue] = {
    "n_scans": 1,
    "without_place": 0,
    "sentences": [],
    "scans": {
        "n_rows": 1,
        "units": {"analysis_id": "1", "distance": "1", "unlike": "1"},
        "columns": {"analysis_id": [ID], "distance": [1.2], "unlike": [False]},
    },
    "dots": {
        "n_rows": 1,
        "units": {"analysis_id": "1", "roi": "1", "map_x": "1", "map_y": "1", "relaxation_rate": "1/s"},
        "columns": {"analysis_id": [ID], "roi": [1], "map_x": [0.61], "map_y": [-0.72], "relaxation_rate": [12.3]},
    },
}

CURVES: dict[str, JsonValue] = {
    "n_rows": 2,
    "units": {
        **dict.fromkeys(("analysis_id", "scan_id", "roi", "g2", "g2_error", "g2_fit"), "1"),
        **{"x": "K", "q": "1/Å", "lag_s": "s"},
    },
    "columns": {
        "analysis_id": [ID, ID],
        "scan_id": [4711, 4711],
        "x": [300.0, 300.0],
        "roi": [1, 1],
        "q": [0.01, 0.01],
        "lag_s": [0.001, 0.002],
        "g2": [1.19, 1.18],
        "g2_error": [0.004, 0.003],
        "g2_fit": [1.191, 1.183],
    },
}

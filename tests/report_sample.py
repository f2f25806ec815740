"""A realistic run, with invented figures, for the tests of the report."""

from __future__ import annotations

import math
from typing import Any

from fedaffect.record import RunRecord

UNIT = {"unit": "client", "adjacency": "zero_out", "where": "server", "horizon": "run"}
NOT_COVERED = [
    "hyper-parameters: their choice on the same data is not accounted",
    "metrics: accuracies and losses printed by this run are un-noised releases",
    "test-time biometrics: who gives signals to the model can be recognised from them",
]
FORMAL = {
    **UNIT,
    "status": "FORMAL",
    "sentence": "The final global model and all 40 intermediate models satisfy (eps=5.00, "
    "delta=1e-5)-differential privacy with respect to adding or removing one client, assuming an "
    "honest server and Gaussian noise added at aggregation (PLD accountant).",
    "details": ["Horizon: the whole run, 40 of 40 planned releases. Unit: one client."],
    "mechanism": "gaussian",
    "eps": 4.9991,
    "delta": 1e-5,
    "mu": 1.1213,
    "observers": [
        {"observer": "server", "eps": None, "delta": None, "text": "sees every update; trusted"},
        {"observer": "participants", "eps": 4.9991, "delta": 1e-5, "text": "see global models"},
        {"observer": "external", "eps": 4.9991, "delta": 1e-5, "text": "sees global models"},
    ],
    "z": 5.640670,
    "blocks": [
        {"name": n, "policy": "noise", "parameters": d, "clip": 1.0, "sigma": 5.640670}
        for n, d in (("shared", 61980), ("task:stress", 202), ("task:identity", 34815))
    ],
    "accountant": {
        "name": "closed form",
        "version": "1",
        "cross_check": {"name": "RDP", "eps": 5.412},
    },
    "n_break_even": 1756.75,
    "person": {"clients_per_subject": 1, "subjects_per_client": 1, "eps": 4.9991, "delta": 1e-5},
    "assumptions": ["The server is honest: it clips every update and adds the noise."],
    "not_covered": NOT_COVERED,
    "warnings": [],
    "releases_planned": 40,
    "releases_done": 40,
    "noise_key_kind": "secret",
    "schema_version": 1,
}
PARTIAL = {
    **FORMAL,
    "status": "NONE",
    "sentence": "Noise was added only to `task:identity` (34,815 of 96,997 parameters). "
    "Parameters outside it are released without a DP guarantee; the overall model has no finite "
    "epsilon.",
    "eps": None,
    "delta": None,
    "mu": None,
    "observers": [{**o, "eps": None, "delta": None} for o in FORMAL["observers"]],
    "blocks": [
        {"name": "shared", "policy": "clear", "parameters": 61980, "clip": None, "sigma": None},
        {"name": "task:stress", "policy": "clear", "parameters": 202, "clip": None, "sigma": None},
        {
            "name": "task:identity",
            "policy": "noise",
            "parameters": 34815,
            "clip": 1.0,
            "sigma": 5.64,
            "conditional_eps": 0.713,
            "conditional_delta": 1e-5,
        },
    ],
    "accountant": None,
}
NO_DP = {
    "status": "NONE",
    "sentence": "No differential privacy: no noise was added and updates were not clipped.",
    **UNIT,
    "mechanism": "none",
    "eps": None,
    "delta": None,
    "observers": [],
    "blocks": [],
    "not_covered": NOT_COVERED,
}


def estimate(value: float | None, half: float, chance: float, people: int) -> dict[str, Any]:
    """Return a figure with a symmetric interval."""
    if value is None:
        return {"value": None, "chance": chance, "n_people": people, "note": "one class"}
    return {
        "value": value,
        "low": max(0.0, value - half),
        "high": min(1.0, value + half),
        "chance": chance,
        "n_people": people,
    }


def figures(stress: float, own: float, attack: float, seen: int, unseen: int) -> dict[str, Any]:
    """Return the figures of one model around three headline numbers."""
    chance = 1 / seen
    attacks = {
        name: estimate(attack - less, 0.025, chance, seen)
        for name, less in (("knn", 0.0), ("linear", 0.034), ("mlp", 0.012))
    }
    people = [
        {
            "person": f"P{i:02d}",
            "seen_in_training": i >= unseen,
            "windows": 80 + 7 * i,
            "stress_balanced_accuracy": None if i == 7 else stress + 0.13 * math.sin(3.1 * i),
            "stress_accuracy": stress + 0.1 * math.sin(3.1 * i),
            "identity_own_head": None if i < unseen else own,
        }
        for i in range(unseen or seen)
    ]
    n = unseen or seen
    return {
        "stress_accuracy": estimate(stress + 0.02, 0.09, 0.63, n),
        "stress_macro_f1": estimate(stress - 0.004, 0.11, 0.5, n),
        "stress_balanced_accuracy": estimate(stress, 0.11, 0.5, n),
        "identity_own_head": estimate(own, 0.008, chance, seen),
        "identity_attacks": attacks,
        "identity_strongest": attacks["knn"],
        "strongest_attack": "knn",
        "raw_features_attack": estimate(0.472, 0.03, chance, seen),
        "per_person": people,
    }


def values(
    *,
    synthetic: bool = True,
    privacy: dict[str, Any] | None = None,
    partition: str = "subject",
    spec: str = "unseen",
    clients: int = 20,
    people: int = 24,
    rounds: int = 40,
    folds: int = 1,
    person_names: tuple[str, ...] | None = None,
) -> dict[str, Any]:
    """Return a run record as plain values."""
    privacy = FORMAL if privacy is None else privacy
    formal = privacy["status"] == "FORMAL"
    noised = privacy["mechanism"] != "none"
    unseen = 4 if spec == "unseen" else 0
    seen = people - unseen
    names = person_names or tuple(f"P{i:02d}" for i in range(unseen, people))
    if partition == "subject":
        by_subject = [
            [211 + (37 * i) % 180 if j % clients == i else 0 for j in range(len(names))]
            for i in range(clients)
        ]
    else:
        by_subject = [[(7 * i * j + 11) % 23 for j in range(len(names))] for i in range(clients)]
    round_values = [
        {
            "fold": fold,
            "round": r,
            "clients": 19 if r == 12 else 20,
            "clients_planned": 20,
            "rejected": ["client 13: norm"] if r == 12 else [],
            "loss": 3.3 - 1.1 * (1 - math.exp(-r / 15)),
            "stress_balanced_accuracy": 0.5 + 0.2 * (1 - math.exp(-r / 12)) + 0.01 * math.sin(r),
            "stress_macro_f1": 0.46 + 0.24 * (1 - math.exp(-r / 11)),
            "identity_own_head": 0.05 + 0.0004 * r,
            "identity_probe": 0.31 + 0.0008 * r if r % 5 == 0 or r == 1 else None,
            "eps_spent": 0.65 * r**0.55 if formal else None,
            "seconds": 4.4,
        }
        for fold in range(folds)
        for r in range(1, rounds + 1)
    ]
    forecast = {
        "noise_multiplier": 5.64067 if noised else None,
        "noise_sd": 5.64067 if noised else None,
        "clients_per_round": 20.0,
        "break_even_clients": 1756.75 if noised else None,
        "noise_to_signal": 87.8 if noised else None,
        "can_learn": not noised,
        "sentences": [
            "Noise and signal are equal at 1,757 clients a round (total eps=5 at delta=1e-5, unit "
            "client, zero_out, external observer, over 40 releases).",
            "Release few numbers on top of public weights. Type: fedaffect simulate --release head",
        ]
        if noised
        else [],
    }
    return {
        "schema_version": 1,
        "kind": "run",
        "provenance": {
            "run_id": "calm-heron-7f3a",
            "version": "0.1.0",
            "started": "2025-03-04T10:15:02Z",
            "ended": "2025-03-04T10:18:00Z",
            "seconds": 178.2,
            "seed": 0,
            "engine": "ray",
            "workers": 2,
            "config": {
                "schema_version": 1,
                "data": {"name": "synthetic", "root": None, "partition": partition, "alpha": 0.3},
                "model": {"name": "stress_identity_cnn"},
                "federation": {"clients": clients, "rounds": rounds, "lr": 0.02},
                "dp": {"mechanism": privacy["mechanism"], "eps": 5.0 if formal else None},
                "run": {"seed": 0, "engine": "ray", "out": "/somewhere/runs/calm-heron-7f3a"},
            },
            "config_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "environment": {
                "python": "3.11.9",
                "torch": "2.13.0",
                "flwr": "1.41.0",
                "cpu": "2 cores",
                "git": {"commit": "0123abc", "dirty": False},
            },
        },
        "data": {
            "name": "synthetic" if synthetic else "stress_predict",
            "synthetic": synthetic,
            "licence": "CC0-1.0" if synthetic else "CC-BY-4.0",
            "citation": "Generated by fedaffect" if synthetic else "Iqbal et al. 2022, Sensors",
            "people": people,
            "windows": 6490,
            "features": 38,
            "window_s": 60.0,
            "overlap": 0.5,
            "normalisation": "public: constants from simulated people; nothing computed from "
            "private data",
            "fingerprint": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
            "files": [
                {"path": f"S{i:02d}/EDA.csv", "sha256": f"{i:064x}", "bytes": 81920 + i}
                for i in range(6)
            ],
            "notes": ["Signals are generated; stress shifts heart rate and skin conductance."],
            "split": {
                "spec": spec,
                "description": "Stress is tested on 4 people held out wholly; identity on the last "
                "blocks of the others, at least 60 s after training data."
                if spec == "unseen"
                else f"Split {spec} over all people.",
                "folds": folds,
                "leaks_overlap": spec == "random",
                "smallest_gap_s": None if spec == "random" else 60.0,
                "people_seen": seen,
                "people_unseen": unseen,
                "windows_train": 4218,
                "windows_stress_test": 1064,
                "windows_identity_test": 1012,
            },
            "partition": {
                "name": partition,
                "options": {} if partition == "subject" else {"alpha": 0.3, "by": "subject"},
                "clients": [f"client {i}" for i in range(clients)],
                "subjects": list(names),
                "by_subject": by_subject,
                "by_stress": [[n - n // 3, n // 3] for n in map(sum, by_subject)],
                "subjects_per_client_max": 1 if partition == "subject" else len(names),
                "clients_per_subject_max": 1 if partition == "subject" else clients,
            },
        },
        "model": {
            "name": "stress_identity_cnn",
            "parameters": 96997,
            "blocks": {"shared": 61980, "task:stress": 202, "task:identity": 34815},
            "tasks": [{"name": "stress", "n_outputs": 2}, {"name": "identity", "n_outputs": seen}],
        },
        "forecast": forecast,
        "rounds": round_values,
        "figures": figures(0.702, 0.067, 0.352, seen, unseen),
        "no_dp": figures(0.871, 0.069, 0.611, seen, unseen) if formal else None,
        "iid_reference": figures(0.883, 0.752, 0.782, seen, unseen)
        if partition == "subject"
        else None,
        "privacy": privacy,
        "warnings": ["W112: 20 clients is few for client-level DP: expect a large utility cost."]
        if formal
        else [],
        "folder": None,
    }  # fmt: skip


def sample(**options: Any) -> RunRecord:
    """Return a run record; the options are those of ``values``."""
    return RunRecord.model_validate(values(**options))

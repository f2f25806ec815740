"""Names of components and where they live; one line registers a component.

Tables map a public name to ``"module:Class"``; nothing is imported until it is asked for.
Only ``fedaffect.build`` and the commands that list names ask here.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Any

from fedaffect.errors import UsageError

DATASETS = {
    "e4": "fedaffect.data.e4:E4",
    "stress_predict": "fedaffect.data.stress_predict:StressPredict",
    "synthetic": "fedaffect.data.synthetic:Synthetic",
    "wesad": "fedaffect.data.wesad:Wesad",
}
PARTITIONS = {
    "dirichlet": "fedaffect.data.partition.dirichlet:Dirichlet",
    "iid": "fedaffect.data.partition.iid:Iid",
    "quantity": "fedaffect.data.partition.quantity:Quantity",
    "shards": "fedaffect.data.partition.shards:Shards",
    "subject": "fedaffect.data.partition.subject:Subject",
}
MODELS = {
    "compact_encoder": "fedaffect.models.compact_encoder:CompactEncoder",
    "stress_identity_cnn": "fedaffect.models.stress_identity_cnn:StressIdentityCNN",
}
STRATEGIES = {
    "fedavg": "fedaffect.strategies.fedavg:FedAvg",
    "fedprox": "fedaffect.strategies.fedprox:FedProx",
}
_NOISE = "fedaffect.privacy.mechanisms"
MECHANISMS = {
    "gaussian": f"{_NOISE}.gaussian:Gaussian",
    "laplace": f"{_NOISE}.laplace:Laplace",
    "moments": f"{_NOISE}.moments:Moments",
    "none": f"{_NOISE}.none:NoMechanism",
    "paper-gaussian1": f"{_NOISE}.paper_gaussian1:PaperGaussian1",
    "paper-gaussian1-as-printed": f"{_NOISE}.paper_gaussian1_as_printed:PaperGaussian1AsPrinted",
    "paper-gaussian2": f"{_NOISE}.paper_gaussian2:PaperGaussian2",
    "paper-laplace": f"{_NOISE}.paper_laplace:PaperLaplace",
    "paper-noise": f"{_NOISE}.paper_noise:PaperNoise",
}
ATTACKS = {
    "knn": "fedaffect.privacy.attacks.identity:KNearestNeighbours",
    "lda": "fedaffect.privacy.attacks.identity:LinearDiscriminant",
    "linear": "fedaffect.privacy.attacks.identity:LinearProbe",
    "mlp": "fedaffect.privacy.attacks.identity:SmallMLP",
}
_ATTACK = "fedaffect.privacy.attacks"
_AUDIT = "fedaffect.privacy.audits"
AUDITS = {
    "identity": f"{_ATTACK}.identity_layers:IdentityByLayer",
    "verification": f"{_ATTACK}.verification:Verification",
    "identity-adaptive": f"{_ATTACK}.identity_adaptive:AdaptiveIdentity",
    "linkability": f"{_ATTACK}.linkability:Linkability",
    "membership-loss": f"{_ATTACK}.membership_loss:LossThreshold",
    "membership-rmia": f"{_ATTACK}.membership_rmia:Rmia",
    "membership-lira": f"{_ATTACK}.membership_lira:OfflineLira",
    "membership-subject": f"{_ATTACK}.membership_subject:SubjectMembership",
    "inversion": f"{_ATTACK}.inversion:UpdateInversion",
    "attribute": f"{_ATTACK}.attribute:AttributeInference",
    "property": f"{_ATTACK}.property:PropertyInference",
    "mechanism": f"{_AUDIT}.mechanism:MechanismAudit",
    "canary": f"{_AUDIT}.canary:CanaryAudit",
    "one-run": f"{_AUDIT}.one_run:OneRunAudit",
    "multi-run": f"{_AUDIT}.multi_run:MultiRunAudit",
    "refute-sensitivity": f"{_AUDIT}.refute_sensitivity:RefuteSensitivity",
}
_DEFENCE = "fedaffect.defences"
DEFENCES = {
    "bottleneck": f"{_DEFENCE}.bottleneck:Bottleneck",
    "drop-identity": f"{_DEFENCE}.drop_identity:DropIdentity",
    "gradient-reversal": f"{_DEFENCE}.gradient_reversal:GradientReversal",
    "head-local": f"{_DEFENCE}.head_local:HeadLocal",
    "none": f"{_DEFENCE}.none:NoDefence",
}
_PRETRAINING = "fedaffect.pretraining"
OBJECTIVES = {
    "adversarial": f"{_PRETRAINING}.adversarial:Adversarial",
    "consistency": f"{_PRETRAINING}.consistency:Consistency",
    "contrastive": f"{_PRETRAINING}.contrastive:Contrastive",
    "emotion": f"{_PRETRAINING}.emotion:Emotion",
    "reconstruction": f"{_PRETRAINING}.reconstruction:Reconstruction",
    "stress": f"{_PRETRAINING}.stress:Stress",
}
ENGINES = {
    "local": "fedaffect.simulations.processes:local_engine",
    "ray": "fedaffect.simulations.ray:RayGrid",
}
STUDIES = {
    "benouis2023": "fedaffect.reproduce.benouis2023:Benouis2023",
    "private-head": "fedaffect.reproduce.private_head:PrivateHead",
}
KINDS: dict[str, dict[str, str]] = {
    "data": DATASETS,
    "partition": PARTITIONS,
    "model": MODELS,
    "strategy": STRATEGIES,
    "defence": DEFENCES,
    "dp": MECHANISMS,
    "attack": ATTACKS,
    "audit": AUDITS,
    "objective": OBJECTIVES,
    "engine": ENGINES,
    "study": STUDIES,
}


def check_name(kind: str, name: str) -> str:
    """Return ``name`` if the table of ``kind`` has it.

    Raises:
        UsageError: E210 with the nearest known name.
    """
    table = KINDS[kind]
    if name in table:
        return name
    raise UsageError("E210", f"--{kind} {name!r} is not known", do=did_you_mean(name, table))


def did_you_mean(name: str, known: dict[str, Any] | list[str]) -> str:
    """Return ``did you mean X? known: A, B, C`` for an unknown ``name``."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}known: {', '.join(sorted(known))}"


def resolve(kind: str, name: str) -> Any:
    """Import and return the class registered as ``name`` in the table of ``kind``."""
    module, _, attribute = KINDS[kind][check_name(kind, name)].partition(":")
    return getattr(import_module(module), attribute)

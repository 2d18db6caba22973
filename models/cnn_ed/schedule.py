"""How to train: everything that a training depends on besides the examples and the sizes of the network."""

from dataclasses import dataclass

from cnn_ed.augment import Augmentation

IMPROVED = Augmentation(reversal=0.5, shuffle=0.5, nearby=0.3, synthetic=0.3)
"""What helped; see MODEL_CARD.md."""
TARGETS = ("others", "all", "input")


@dataclass(frozen=True)
class Schedule:
    """How to train.

    Attributes
    ----------
    models : initialisations; each has the seed `seed` plus its number
    trial : epochs after which only the best go on
    finalists : how many go on, by validation cost
    epochs : at the most
    patience : epochs without a better validation cost of any model after which training ends
    batch : examples per step
    learning_rate : of Adam, at the start
    decay : factor on the learning rate after each epoch
    weight_decay : of Adam
    dropout : probability of leaving out a channel of an example after each convolution
    averaging : share of the past in the running mean of the weights over the steps, which then is what is kept; 0: none
    one_time_weight : of the second term of Eq. 8
    targets : "others", the mean of the windows that share no frame with the input, "all", the published mean of all, or
        "input", the input itself (a plain autoencoder)
    augmentation : of the examples
    seed : of the initial weights, the order of the examples and their augmentation
    """

    models: int = 100
    trial: int = 3
    finalists: int = 24
    epochs: int = 22
    patience: int = 6
    batch: int = 16
    learning_rate: float = 1.5e-3
    decay: float = 0.88
    weight_decay: float = 0.0
    dropout: float = 0.0
    averaging: float = 0.0
    one_time_weight: float = 1.0
    targets: str = "others"
    augmentation: Augmentation = IMPROVED
    seed: int = 20210721

    def __post_init__(self) -> None:
        if self.targets not in TARGETS:
            raise ValueError(f"targets is {self.targets!r}, expected one of {', '.join(TARGETS)}.")

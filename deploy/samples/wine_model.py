"""The sample of the tabular family: tells three cultivars of wine apart by thirteen measurements."""

from pathlib import Path

import joblib
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_wine
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from deploy.samples import Score
from deploy.samples.training import main
from model_functions.families.tabular import TabularWrapper

FAMILY = "tabular"
DESCRIPTION = "Tells which of three cultivars an Italian wine was made from, by thirteen laboratory measurements."
_COLUMNS = (
    "alcohol",
    "malic_acid",
    "ash",
    "alcalinity_of_ash",
    "magnesium",
    "total_phenols",
    "flavanoids",
    "nonflavanoid_phenols",
    "proanthocyanins",
    "color_intensity",
    "hue",
    "od280/od315_of_diluted_wines",
    "proline",
)
_BAROLO = [14.23, 1.71, 2.43, 15.6, 127.0, 2.8, 3.06, 0.28, 2.29, 5.64, 1.04, 3.92, 1065.0]
_GRIGNOLINO = [12.37, 0.94, 1.36, 10.6, 88.0, 1.98, 0.57, 0.28, 0.42, 1.95, 1.05, 1.82, 520.0]
_BARBERA = [12.86, 1.35, 2.32, 18.0, 122.0, 1.51, 1.25, 0.21, 0.94, 4.1, 0.76, 1.29, 630.0]
EXAMPLES: list[dict[str, float] | list[float]] = [
    dict(zip(_COLUMNS, _BAROLO, strict=True)),
    dict(zip(_COLUMNS, _GRIGNOLINO, strict=True)),
    dict(zip(_COLUMNS, _BARBERA, strict=True)),
    _BAROLO,
]
SEED = 20
MINIMUM_ACCURACY = 0.94


def wrapper(folder: Path) -> TabularWrapper:
    """What is published of the folder that train() made."""
    return TabularWrapper.from_source(str(folder / "model.joblib"), example=EXAMPLES[0], trusted=True)


def train(folder: Path, *, progress: bool = True) -> Score:
    """Fits scaler and classifier in one pipeline, so that a caller sends plain measurements."""
    del progress  # it takes no time worth a bar
    wine = load_wine(as_frame=True)
    cultivars = wine.target_names[wine.target]
    rows, held_out_rows, labels, held_out_labels = train_test_split(
        wine.data, cultivars, test_size=0.3, stratify=cultivars, random_state=SEED
    )
    pipeline = Pipeline(
        [
            ("scale", StandardScaler()),
            ("classify", CalibratedClassifierCV(SVC(random_state=SEED), ensemble=False)),
        ]
    )
    pipeline.fit(rows, labels)
    accuracy = accuracy_score(held_out_labels, pipeline.predict(held_out_rows))
    joblib.dump(pipeline, folder / "model.joblib")
    return Score("accuracy", float(accuracy), MINIMUM_ACCURACY, len(held_out_rows), "wines").require()


if __name__ == "__main__":
    main("wine_model")

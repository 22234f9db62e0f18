"""The pass in NumPy against numbers that the published code printed with the same weights."""

import numpy as np
import pytest
from published_models import LANGUAGE, SETTINGS, VIDEO, made_up, reference

from gunileo.published.forward import continued, decoded, encoded, lipnet

TOKENS = np.array([40, 5, 7, 9, 3])


def near(found: np.ndarray, expected: np.ndarray) -> None:
    """To 1e-5 of the largest number: the published code rounds to float32."""
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("name", SETTINGS)
def test_encoder_and_decoder(name: str) -> None:
    expected, settings = reference("conformer", "expected.npz"), SETTINGS[name]
    weights = made_up(reference("conformer", "expected.json")["names"][name])
    found = encoded(weights, settings, VIDEO[0])
    near(found.frontend, expected[f"{name}/frontend"])
    near(found.features, expected[f"{name}/encoder"])
    near(found.log_probabilities, expected[f"{name}/ctc"])
    near(decoded(weights, settings, found.features, TOKENS)[-1:], expected[f"{name}/decoder_next"])


@pytest.mark.parametrize("kind", LANGUAGE)
def test_language_models(kind: str) -> None:
    weights = made_up(reference("conformer", "expected.json")["names"]["lm"])
    expected = reference("conformer", "expected.npz")[f"lm_{kind}/logp"]
    near(continued(weights, LANGUAGE[kind], TOKENS)[-1:], expected)


def test_lipnet() -> None:
    weights = made_up(reference("lipnet", "expected.json")["names"])
    video = np.random.default_rng(7).random((1, 3, 30, 64, 128)).astype(np.float32)
    features, found = lipnet(weights, video[0])
    near(found, reference("lipnet", "expected.npz")["lipnet/log_probabilities"])
    assert features.shape == (30, 512)

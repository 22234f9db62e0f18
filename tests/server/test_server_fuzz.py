"""The API as its own OpenAPI description has it, with whatever fits it and whatever doesn't."""

import httpx
import pytest

pytest.importorskip("fastapi", reason='needs the extra "serve"')
pytest.importorskip("schemathesis")
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from waiting import PATIENCE

from gunileo.server.app import create_app

schema = schemathesis.openapi.from_dict(create_app().openapi())


@schema.parametrize()
@settings(max_examples=12, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_the_api_keeps_to_its_description(case, server: str) -> None:  # type: ignore[no-untyped-def]
    # A file of any content fits the description, and hardly any is a video.
    case.call_and_validate(base_url=server.rstrip("/"), excluded_checks=[positive_data_acceptance])


def test_it_still_runs(server: str) -> None:
    assert httpx.get(f"{server}healthz", timeout=PATIENCE).status_code == 200

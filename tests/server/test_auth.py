"""Who may use the server: pages of others are kept out, and a public address asks for its token."""

from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason='needs the extra "serve"')
from api import HOME
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from gunileo.server.app import create_app


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:9000"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": HOME}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:3000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, 403),
    ],
)
def test_pages_of_others_are_kept_out(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.get("/v1/models", headers=headers).status_code == status


def test_a_link_elsewhere_may_lead_to_the_page(client: TestClient) -> None:
    linked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=linked).status_code == 200


def test_a_page_of_others_gets_no_camera(client: TestClient) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect("/v1/live", headers={"Origin": "http://evil.example", "Host": "127.0.0.1:8000"}),
    ):
        pass
    assert refused.value.code == 1008


def test_a_public_address_asks_for_its_token(temporary: Path) -> None:
    with TestClient(create_app(token="secret"), base_url="http://10.0.0.5:8000", follow_redirects=False) as client:
        assert client.get("/healthz").status_code == 200
        refused = client.get("/v1/models")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert client.get("/v1/models", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/v1/models", headers={"Authorization": "Bearer secret"}).status_code == 200
        asking = client.get("/", headers={"Accept": "text/html"})
        assert (asking.status_code, "token" in asking.text) == (401, True)
        assert client.get("/?token=wrong", headers={"Accept": "text/html"}).status_code == 401
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/v1/live"):
            pass
        entered = client.get("/?token=secret")
        assert (entered.status_code, entered.headers["location"]) == (303, "./")
        assert client.get("/v1/models").status_code == 200, "the cookie lets in"
        assert client.get("/v1/models", headers={"Origin": "http://evil.example"}).status_code == 403

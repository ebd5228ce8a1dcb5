import base64
import hashlib
import re
from typing import Annotated, Literal

import httpx
import pytest
from fastapi import FastAPI, Path, Query
from pydantic import BaseModel, Field

from services.reference import add_reference, page


class Inner(BaseModel):
    """Where `it` is."""

    at: Literal["here", "there"] = "here"


class Thing(BaseModel):
    """A thing."""

    name: str = Field(max_length=7, examples=["spoon"], description="how it is <i>called</i>")
    many: int | None = None
    inner: list[Inner]


@pytest.fixture
def app() -> FastAPI:
    made = FastAPI(title="a & b", description="One.\n\n`Two`.", docs_url=None, redoc_url=None)

    @made.post("/things/{thing}", tags=["things"])
    async def put(
        thing: Annotated[str, Path(description="which")],
        body: Thing,
        often: Annotated[int, Query(ge=1, le=9)] = 3,
    ) -> Thing:
        """Put a <script>alert(1)</script> thing."""
        return body

    add_reference(made)
    return made


def test_it_shows_operations_parameters_bodies_examples_and_shapes(app):
    html = page(app.openapi())

    for said in (
        "<h1>a &amp; b: API</h1><p>One.</p><p><code>Two</code>.</p>",
        "<h2>things</h2>",
        "<code>/things/{thing}</code>",
        "<p>which</p>",
        "minimum 1, maximum 9, default 3",
        '<a href="#Thing">Thing</a>',
        '<details id="Inner">',
        "how it is &lt;i&gt;called&lt;/i&gt;",
        "&quot;name&quot;: &quot;spoon&quot;",
        "&quot;at&quot;: &quot;here&quot;",
        "list of <a",
        "<code>there</code>",
    ):
        assert said in html


def test_shapes_that_hold_each_other_have_an_end():
    tree = {"type": "object", "properties": {"of": {"$ref": "#/components/schemas/Tree"}}}
    body = {"content": {"application/json": {"schema": tree}}}
    document = {
        "info": {"title": "t"},
        "paths": {"/": {"put": {"requestBody": body}}},
        "components": {"schemas": {"Tree": tree}},
    }

    assert "Tree" in page(document)


async def test_nothing_in_it_can_run_and_nothing_comes_from_elsewhere(app):
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://console.test") as http:
        answer = await http.get("/docs")
        others = [await http.get(path) for path in ("/redoc", "/docs/oauth2-redirect")]

    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", f"style-src 'sha256-{digest}'", "frame-ancestors 'none'"} <= set(
        policy
    )
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<script|<link|<img|<iframe|src=|//", answer.text)
    assert [other.status_code for other in others] == [404, 404]

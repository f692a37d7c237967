"""The page that shows the OpenAPI file, with everything that it needs: it works where there is no internet, and no stranger's script sees a token.

FastAPI's own page loads its scripts from a network of others, in whatever version is there at the time. The scripts here are those that
the package `fastapi_offline` brings; nothing else of it is used.
"""

import base64
import hashlib
import re
from importlib.resources import files

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

PAGE = "/docs"
_BROUGHT = files("fastapi_offline") / "static"
_FILES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon.png": "image/png"}
PATHS = (PAGE, *(f"{PAGE}/{name}" for name in _FILES))
"""What is open to everybody where the page is shown."""


def show_page(app: FastAPI, openapi_url: str) -> None:
    """Add the page and its files to an app."""
    page, allowed = _page(app.title, openapi_url)

    async def shown(_request: Request) -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": allowed})

    async def brought(request: Request) -> Response:
        name = request.path_params["name"]
        return (
            Response((_BROUGHT / name).read_bytes(), media_type=_FILES[name])
            if name in _FILES
            else Response(status_code=404)
        )

    app.add_route(PAGE, shown, include_in_schema=False)
    app.add_route(f"{PAGE}/{{name}}", brought, include_in_schema=False)


def _page(title: str, openapi_url: str) -> tuple[bytes, str]:
    """The page, and what a browser may do for it: run its one script and ours, speak with us, and nothing else."""
    script, style, icon = (f"{PAGE}/{name}" for name in _FILES)
    page = bytes(
        get_swagger_ui_html(
            openapi_url=openapi_url, title=title, swagger_js_url=script, swagger_css_url=style, swagger_favicon_url=icon
        ).body
    )
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    own = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(each).digest()).decode()}'" for each in scripts)
    allowed = (
        "default-src 'none'; connect-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
        f"script-src 'self' {own}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, allowed
